// Package told is for what goes wrong again and again: it is kept for who asks, and logged once.
package told

import "log/slog"

// Error notes an error in the place of the one before, or that there is none, and logs it if it is another one.
func Error(log *slog.Logger, before *string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != *before {
		log.Error(text)
	}
	*before = text
}
