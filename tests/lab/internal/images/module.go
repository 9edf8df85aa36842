package images

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
)

// moduleDir downloads a module at an exact version and tells where it is.
func moduleDir(ctx context.Context, module string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", module).Output()
	var info struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &info); jsonErr != nil || info.Dir == "" {
		return "", fmt.Errorf("cannot download %s: %v %s", module, err, info.Error)
	}
	return info.Dir, nil
}
