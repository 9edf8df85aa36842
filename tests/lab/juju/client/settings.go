package client

import (
	"strconv"

	"github.com/juju/charm/v12"
	"github.com/juju/errors"
	"github.com/juju/juju/core/secrets"
	"gopkg.in/yaml.v2"
)

// trustOption is the one option of Juju's own that an application has beside its charm's.
const trustOption = "trust"

// Settings are what a user set, checked against a charm's options as Juju checks them.
type Settings struct {
	// Charm holds the charm's options by name, each of the type the charm declares.
	Charm map[string]any
	// Trust is nil when the user said nothing of it.
	Trust *bool
}

// parseSettings reads options given as strings and as YAML keyed by the application's name; where both
// name an option the strings win. The errors are Juju's own, because users and charm tests read them.
func parseSettings(config *charm.Config, app string, values map[string]string, yamlText string) (Settings, error) {
	var out Settings
	out.Charm = map[string]any{}
	if yamlText != "" {
		if err := out.addYAML(config, app, yamlText); err != nil {
			return Settings{}, err
		}
	}
	strings := map[string]string{}
	for name, value := range values {
		if name == trustOption {
			if err := out.setTrust(value); err != nil {
				return Settings{}, err
			}
			continue
		}
		strings[name] = value
	}
	parsed, err := config.ParseSettingsStrings(strings)
	if err != nil {
		return Settings{}, errors.Trace(err)
	}
	for name, value := range parsed {
		out.Charm[name] = value
	}
	return out, checkSecretOptions(config, out.Charm)
}

func (s *Settings) addYAML(config *charm.Config, app, text string) error {
	var all map[string]map[string]any
	if err := yaml.Unmarshal([]byte(text), &all); err != nil {
		return errors.Annotate(err, "cannot parse settings data")
	}
	own, ok := all[app]
	if !ok {
		return errors.Errorf("no settings found for %q", app)
	}
	if value, ok := own[trustOption]; ok {
		if err := s.setTrust(value); err != nil {
			return err
		}
		delete(own, trustOption)
	}
	if len(own) == 0 {
		return nil
	}
	rest, err := yaml.Marshal(all)
	if err != nil {
		return errors.Annotate(err, "cannot marshall charm settings")
	}
	parsed, err := config.ParseSettingsYAML(rest, app)
	if err != nil {
		return errors.Trace(err)
	}
	for name, value := range parsed {
		s.Charm[name] = value
	}
	return nil
}

func (s *Settings) setTrust(value any) error {
	switch v := value.(type) {
	case bool:
		s.Trust = &v
		return nil
	case string:
		b, err := strconv.ParseBool(v)
		if err == nil {
			s.Trust = &b
			return nil
		}
	}
	return errors.Errorf("%s: expected bool, got %T(%#v)", trustOption, value, value)
}

// checkSecretOptions refuses a secret option whose value is no secret URI.
func checkSecretOptions(config *charm.Config, settings map[string]any) error {
	for name, value := range settings {
		text, _ := value.(string)
		if config.Options[name].Type != "secret" || text == "" {
			continue
		}
		if _, err := secrets.ParseURI(text); err != nil {
			return errors.Annotatef(err, "invalid secret URI for option %q", name)
		}
	}
	return nil
}

// describeSettings lists every option of a charm with its value and where the value came from.
func describeSettings(config *charm.Config, settings map[string]any) map[string]any {
	out := map[string]any{}
	for name, option := range config.Options {
		out[name] = describeOption(option.Description, option.Type, option.Default, settings[name])
	}
	return out
}

func describeOption(description, kind string, def, set any) map[string]any {
	info := map[string]any{"description": description, "type": kind, "source": "unset"}
	if def != nil {
		info["default"], info["value"], info["source"] = def, def, "default"
	}
	if set != nil && set != def {
		info["value"], info["source"] = set, "user"
	}
	return info
}
