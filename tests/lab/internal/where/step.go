package where

import (
	"fmt"
	"os"
	"time"
)

var began = time.Now()

// Say tells how far a long job has come, on standard error: standard output is for results.
func Say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%7.1f s  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
}
