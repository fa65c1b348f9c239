package prompt

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Add adds one condition or trigger in the words of the Caddyfile: "2 pages", "30s", "scroll 50%", "click
// <selector>", "event <name>", "exit" or "manual". Each may be set once; only 0s adds nothing, so that the
// prompt shows at once. duration parses "30s".
func (a *After) Add(duration func(string) (time.Duration, error), words ...string) error {
	if len(words) == 2 && words[1] != "" {
		value := words[1]
		switch words[0] {
		case "scroll":
			n, err := strconv.Atoi(strings.TrimSuffix(value, "%"))
			if err != nil || n < 1 {
				return fmt.Errorf("%q is not a share of a page; write it like: after scroll 50%%", value)
			}
			return setOnce(&a.Scroll, n)
		case "click":
			return setOnce(&a.Click, value)
		case "event":
			return setOnce(&a.Event, value)
		}
		if value == "pages" || value == "page" {
			n, err := strconv.Atoi(words[0])
			if err != nil || n < 1 {
				return fmt.Errorf("%q is not a number of pages", words[0])
			}
			return setOnce(&a.Pages, n)
		}
	}
	if len(words) == 1 {
		switch words[0] {
		case "manual":
			return setOnce(&a.Manual, true)
		case "exit":
			return setOnce(&a.Exit, true)
		}
		if v, err := duration(words[0]); err == nil && v >= 0 {
			return setOnce(&a.Delay, Delay(v))
		}
	}
	return errors.New(`after: write "2 pages", "30s", "scroll 50%", "click <selector>", "event <name>", "exit" or "manual"`)
}

// setOnce sets a part of after that must not have been set before.
func setOnce[T comparable](field *T, value T) error {
	var none T
	if *field != none {
		return errors.New("after: this is given twice; one line for each condition or trigger")
	}
	*field = value
	return nil
}
