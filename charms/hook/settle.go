package hook

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"
)

// toldFile has what was told last, as a sum, and is as old as that.
const toldFile = ".told"

// settles is for how long what is told anew is looked at again. The slowest check whose turning brings a hook turns after six seconds.
const settles = 12 * time.Second

// settling is what the Soon of Settle is for.
const settling = "settling"

// Settle has a hook come again, a few times, after one that tells or does anything else than the one before. What that one has seen may turn
// back before a check looks that would bring the next one, and its word would stand until update-status; what lasts longer turns its check.
func Settle(d Desired) Desired {
	modes := map[string]Mode{}
	for _, w := range d.Workloads {
		modes[w.Container] = w.Mode
	}
	// Times and counts in a status go on; addresses and ports are in what is published as well.
	words := strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, d.Status.Message)
	text, err := json.Marshal([]any{d.Status.Kind, words, d.Publish, d.Units, modes})
	if err != nil || d.container() == "" {
		return d
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(text))
	if before, _ := os.ReadFile(inPod(toldFile)); string(before) != sum && os.WriteFile(inPod(toldFile), []byte(sum), 0o600) != nil {
		return d // it could not be told apart from the next one
	}
	info, err := os.Stat(inPod(toldFile))
	if err != nil || d.Soon != (Soon{}) {
		return d
	}
	if age := time.Since(info.ModTime()); age >= 0 && age < settles {
		d.Soon = Soon{d.container(), settling}
	}
	return d
}

// unsettled takes away what brings hooks where what is waited for may be what is refused.
func (s Soon) unsettled() Soon {
	if s.For == settling {
		return s // that ends by itself
	}
	return Soon{}
}
