//go:build bench

package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Packed is one packed charm's size, in millions of bytes.
type Packed struct {
	Charm string   `json:"charm"`
	Arch  string   `json:"arch"`
	MB    float64  `json:"mb"`
	Over  []string `json:"over,omitempty"`
}

func packed(root string) (all []Packed, err error) {
	files, err := filepath.Glob(filepath.Join(root, "build", "*-k8s_*.charm"))
	if err != nil || len(files) == 0 {
		return nil, errors.New("cannot find any packed charm; run: make pack")
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return nil, err
		}
		charm, arch, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".charm"), "-k8s_")
		p := Packed{Charm: charm, Arch: arch, MB: round(float64(info.Size()) / 1e6)}
		if p.MB > budgets.PackedSize {
			p.Over = []string{fmt.Sprintf("mb %v > %v", p.MB, budgets.PackedSize)}
		}
		all = append(all, p)
	}
	return all, nil
}
