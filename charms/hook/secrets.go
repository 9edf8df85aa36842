package hook

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
)

// ownSecret makes a secret of this application so, without asking anybody where this pod has seen it so before.
func ownSecret(want SecretWant) (outcome, error) {
	sum := sumOf(want.Content)
	if keptSecrets()[want.Label].Sum == sum {
		return asItWas, nil
	}
	did, err := makeSecret(want)
	if err == nil && did == asItWas { // what this hook changed is so when it has ended, if it ends well
		keepSecret(want.Label, func(s *keptSecret) { s.Sum = sum })
	}
	return did, err
}

// OwnSecret is the URI of a secret of this application, as other models find it too; empty before the hook that makes it has
// ended. It is kept for this pod: it never changes. Leader only.
func OwnSecret(label string) (string, error) {
	if uri := keptSecrets()[label].URI; uri != "" {
		return uri, nil
	}
	id, err := ownSecretID(label)
	if err != nil || id == "" {
		return "", err
	}
	uri := fmt.Sprintf("secret://%s/%s", modelUUID(), id)
	keepSecret(label, func(s *keptSecret) { s.URI = uri })
	return uri, nil
}

// forgetSecret removes a secret of this application, and what this pod knows of it.
func forgetSecret(label string) error {
	keepSecret(label, func(s *keptSecret) { *s = keptSecret{} })
	return removeSecret(label)
}

// keptSecret is what this pod knows of a secret: where it is, and a sum of what is in it.
type keptSecret struct{ URI, Sum string }

const secretsFile = ".own-secrets.json"

func keptSecrets() map[string]keptSecret {
	kept := map[string]keptSecret{}
	if data, err := os.ReadFile(inPod(secretsFile)); err == nil {
		_ = json.Unmarshal(data, &kept) // an unreadable cache is an empty one
	}
	return kept
}

func keepSecret(label string, change func(*keptSecret)) {
	kept := keptSecrets()
	s := kept[label]
	change(&s)
	kept[label] = s
	if data, err := json.Marshal(kept); err == nil {
		_ = os.WriteFile(inPod(secretsFile), data, 0o600) // without it the next hook asks again
	}
}

func sumOf(content map[string]string) string {
	h := sha256.New()
	for _, k := range slices.Sorted(maps.Keys(content)) {
		fmt.Fprintf(h, "%q %q\n", k, content[k])
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// inFiles hands content to a hook tool by files: the words of a command are there for everybody to read who can list processes.
func inFiles(content map[string]string, do func(map[string]string) error) error {
	dir, err := os.MkdirTemp(os.Getenv("JUJU_CHARM_DIR"), ".secret-")
	if err != nil {
		return fmt.Errorf("cannot hand over a secret: %w", err)
	}
	defer os.RemoveAll(dir)
	named := map[string]string{}
	for key, value := range content {
		path := fmt.Sprintf("%s/%d", dir, len(named))
		if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
			return fmt.Errorf("cannot hand over a secret: %w", err)
		}
		named[key+"#file"] = path
	}
	return do(named)
}
