package web

import (
	"embed"
	"slices"
)

//go:embed dist/*.js
var dist embed.FS

// lazyModules are the modules that the SDK loads by import() when it needs them.
var lazyModules = []string{
	"ui.js", "texts.js", "compat.js", "onesignal.js", "wait.js", "join.js", "track.js", "trouble.js", "onsite.js",
	"popup.js", "popup-more.js", "popup-words.js",
}

// Module returns one of the ES modules that the SDK loads when it needs them,
// to be served as text/javascript beside the SDK, and false for other names.
// They hold no config.
func Module(name string) ([]byte, bool) {
	if !slices.Contains(lazyModules, name) {
		return nil, false
	}
	body, err := dist.ReadFile("dist/" + name)
	return body, err == nil
}
