package overlay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// Config is the agent's one file, written by the charm of its pod. A field that the agent does not know is newer than it, and
// is left alone.
type Config struct {
	Guard   Guard    `json:"guard"`
	Client  *Client  `json:"client,omitempty"`
	Gateway *Gateway `json:"gateway,omitempty"`
	Names   *Names   `json:"names,omitempty"` // of a client
}

// configLimit bounds what is read of a file, in bytes: a cluster of a thousand nodes needs a tenth of it.
const configLimit = 1 << 20

// ReadConfig reads and checks the file.
func ReadConfig(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("cannot read the configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, configLimit+1))
	if err != nil {
		return Config{}, fmt.Errorf("cannot read the configuration: %w", err)
	}
	c, err := ParseConfig(text)
	if err != nil {
		return Config{}, fmt.Errorf("cannot use the configuration in %s: %w", path, err)
	}
	return c, nil
}

// ParseConfig reads and checks what the file holds.
func ParseConfig(text []byte) (c Config, err error) {
	if len(text) > configLimit {
		return Config{}, fmt.Errorf("it is longer than %d bytes", configLimit)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("it is not as this agent reads it: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Config{}, fmt.Errorf("there is more behind its end")
	}
	if err := c.Guard.Check(); err != nil {
		return Config{}, fmt.Errorf("guard: %w", err)
	}
	if c.Client != nil {
		if err := c.Client.Check(); err != nil {
			return Config{}, fmt.Errorf("client: %w", err)
		}
	}
	if c.Gateway != nil {
		if err := c.Gateway.Check(); err != nil {
			return Config{}, fmt.Errorf("gateway: %w", err)
		}
	}
	if c.Names != nil {
		if err := c.Names.Check(); err != nil {
			return Config{}, fmt.Errorf("names: %w", err)
		}
	}
	return c, nil
}
