package people

import (
	"slices"
	"strings"
)

// Bounds of what browsers may say, beyond which it is cut or left out
// (CleverTap's, so that sites that move see no difference).
const (
	MaxEventName  = 1024 // characters
	MaxKey        = 1024 // characters
	MaxValue      = 1024 // characters
	MaxProps      = 100  // keys altogether
	MaxPropsDepth = 3    // levels of objects below the first, see below
	MaxList       = 100
)

// reservedEvents may not be pushed by pages: they are the product's own.
var reservedEvents = []string{
	"Stayed", "UTM Visited", "App Launched", "Notification Sent", "Notification Viewed", "Notification Clicked",
}

// CleanEventName is the name as it is stored; false where it is none or
// reserved.
func CleanEventName(name string) (string, bool) {
	name = strings.TrimSpace(cutRunes(strings.ReplaceAll(strings.ToValidUTF8(name, ""), "\x00", ""), MaxEventName))
	return name, name != "" && !slices.Contains(reservedEvents, name)
}

// cleanKey strips what would be syntax in CleverTap's keys; "" is none.
func cleanKey(key string) string {
	key = strings.Map(func(r rune) rune {
		if r == 0 || strings.ContainsRune(`.:$'"\`, r) {
			return -1
		}
		return r
	}, key)
	key = strings.TrimSpace(cutRunes(strings.TrimSpace(key), MaxKey))
	if key == "__proto__" {
		return "" // means something else to scripts that read it
	}
	return key
}

// CleanProps is what is stored of an event's properties or a profile's
// attributes: at most MaxProps keys, MaxPropsDepth levels below, texts of MaxValue.
// What is empty or null is left out; with nulls, null stays on the first level,
// where it removes.
func CleanProps(props map[string]any, nulls bool) map[string]any {
	left := MaxProps
	return cleanObject(props, 0, &left, nulls)
}

func cleanObject(object map[string]any, depth int, left *int, nulls bool) map[string]any {
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys) // so that always the same ones are left out
	var out map[string]any
	for _, key := range keys {
		clean := cleanKey(key)
		if clean == "" || *left == 0 {
			continue
		}
		value, ok := cleanValue(object[key], depth, false, left)
		if !ok && !(nulls && object[key] == nil) {
			continue
		}
		*left--
		setIn(&out, clean, value)
	}
	return out
}

// cleanValue returns false where nothing is left. depth is the level of what the value
// is in.
func cleanValue(value any, depth int, inList bool, left *int) (any, bool) {
	switch v := value.(type) {
	case string:
		return cutRunes(strings.ReplaceAll(strings.ToValidUTF8(v, ""), "\x00", ""), MaxValue), true
	case bool, float64, int64:
		return v, true
	case int:
		return float64(v), true
	case []any:
		depth = below(depth, inList)
		if depth > MaxPropsDepth {
			return nil, false
		}
		list := make([]any, 0, min(len(v), MaxList))
		for _, item := range v[:min(len(v), MaxList)] {
			if clean, ok := cleanValue(item, depth, true, left); ok {
				list = append(list, clean)
			}
		}
		return list, len(list) > 0
	case map[string]any:
		if depth >= MaxPropsDepth {
			return nil, false
		}
		object := cleanObject(v, depth+1, left, false)
		return object, len(object) > 0
	}
	return nil, false
}

// below is the level of a list: that of what it is in, and one more for a list in a
// list, as CleverTap counts (web/src/compat/rules.ts).
func below(depth int, inList bool) int {
	if inList {
		return depth + 1
	}
	return depth
}

// cutRunes cuts a text to so many characters.
func cutRunes(s string, most int) string {
	if len(s) <= most {
		return s
	}
	n := 0
	for i := range s {
		if n == most {
			return s[:i]
		}
		n++
	}
	return s
}
