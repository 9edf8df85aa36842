package main

import (
	"bytes"
	"fmt"
	"os"

	"gopkg.in/yaml.v3"
)

// charmcraft is charmcraft.yaml, by what becomes of each part. Juju never reads that file: it wants four.
type charmcraft struct {
	Name      string
	Platforms map[string]yaml.Node
	metadata  []pair
	config    *yaml.Node
	actions   *yaml.Node
}

type pair struct{ key, value *yaml.Node }

// inMetadata are the keys that stand in metadata.yaml as they are. Under other names: title and links. The rest is for
// the packer (type, platforms, parts) or has a file of its own (config, actions).
var inMetadata = map[string]string{
	"name": "name", "title": "display-name", "summary": "summary", "description": "description", "assumes": "assumes",
	"containers": "containers", "resources": "resources", "requires": "requires", "provides": "provides", "peers": "peers",
	"storage": "storage", "extra-bindings": "extra-bindings", "charm-user": "charm-user",
}

var notPacked = map[string]bool{"type": true, "platforms": true, "parts": true, "links": true}

func readCharmcraft(path string) (c charmcraft, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("cannot read the charm's definition: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return c, fmt.Errorf("cannot read %s: %w", path, err)
	}
	if err := doc.Decode(&c); err != nil {
		return c, fmt.Errorf("cannot read %s: %w", path, err)
	}
	if c.Name == "" {
		return c, fmt.Errorf("cannot use %s: it has no name", path)
	}
	top := doc.Content[0].Content
	for i := 0; i+1 < len(top); i += 2 {
		key, value := top[i], top[i+1]
		switch name, ok := inMetadata[key.Value]; {
		case ok:
			key.Value = name
			c.metadata = append(c.metadata, pair{key, value})
		case key.Value == "config":
			c.config = value
		case key.Value == "actions":
			c.actions = value
		case !notPacked[key.Value]:
			return c, fmt.Errorf("cannot use %s: nothing is known of %q", path, key.Value)
		}
	}
	return c, nil
}

// files are the four that Juju reads, for one architecture.
func (c charmcraft) files(arch string) (map[string][]byte, error) {
	platform := "ubuntu@24.04:" + arch
	if _, ok := c.Platforms[platform]; !ok {
		return nil, fmt.Errorf("cannot pack for %s: charmcraft.yaml has no platform %s", arch, platform)
	}
	metadata := yaml.Node{Kind: yaml.MappingNode}
	for _, p := range c.metadata {
		metadata.Content = append(metadata.Content, p.key, p.value)
	}
	type base struct {
		Name          string
		Channel       string
		Architectures []string
	}
	manifest := map[string]any{
		"bases": []base{{"ubuntu", "24.04", []string{arch}}},
	}
	files := map[string][]byte{}
	for name, value := range map[string]any{"metadata.yaml": &metadata, "config.yaml": c.config, "actions.yaml": c.actions, "manifest.yaml": manifest} {
		if node, ok := value.(*yaml.Node); ok && node == nil {
			continue // no options, or no actions
		}
		var b bytes.Buffer
		e := yaml.NewEncoder(&b)
		e.SetIndent(2)
		if err := e.Encode(value); err != nil {
			return nil, fmt.Errorf("cannot write %s: %w", name, err)
		}
		files[name] = b.Bytes()
	}
	return files, nil
}
