package main

import "testing"

// TestOneSignalTable checks ONESIGNAL.md as TestCleverTapTable does CLEVERTAP.md.
func TestOneSignalTable(t *testing.T) {
	exists := make(map[string]bool)
	for name, source := range typeScriptTests(t, "../src/onesignal/*.test.ts") {
		for _, title := range runTypeScript(t, name, source) {
			exists[title] = true
		}
	}
	for _, name := range goTests(t, "../../../caddymodule/e2e/*_test.go") {
		exists[name] = true
	}
	checkTable(t, "../ONESIGNAL.md", exists, 50)
}
