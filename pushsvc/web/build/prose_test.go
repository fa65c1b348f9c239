package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// idioms are words that a reader has to translate, with what to write in their place.
var idioms = map[*regexp.Regexp]string{
	regexp.MustCompile(`(?i)\b(nobody|somebody)\b`):                                                      "name the visitor, the person or the caller",
	regexp.MustCompile(`(?i)\banew\b`):                                                                   "again",
	regexp.MustCompile(`(?i)\b(who|that|which|what|it|this) (is|are) none\b`):                            "is not a …",
	regexp.MustCompile(`(?i)\bsays whether\b`):                                                           "reports whether",
	regexp.MustCompile(`(?i)\bwhat (becomes|became|came) of\b`):                                          "what happens to, the effect",
	regexp.MustCompile(`(?m)^\s*(/\*\*|//|\*) Whether\b`):                                                "Reports whether",
	regexp.MustCompile(`(?i)\bby own wish\b`):                                                            "the visitor unsubscribed",
	regexp.MustCompile(`\b(const|let|function) (told|led|fresh|settle|birth|of|by|one|rest)( =|:|\(|<)`): "a name that says what it holds",
}

// TestPlainEnglish looks for the idioms in sources, tests and documents.
func TestPlainEnglish(t *testing.T) {
	files := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		name := filepath.ToSlash(path)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "dist" || entry.Name() == "node_modules"):
			return fs.SkipDir
		case !regexp.MustCompile(`\.(ts|css|go|md)$`).MatchString(name), entry.Name() == "prose_test.go",
			// The visitors' texts in other languages.
			strings.HasSuffix(name, "/texts.ts"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for idiom, cure := range idioms {
			for _, at := range idiom.FindAllIndex(text, -1) {
				line := strings.Count(string(text[:at[0]]), "\n") + 1
				t.Errorf("%s:%d: %q: write %s", name, line, strings.TrimSpace(string(text[at[0]:at[1]])), cure)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 150 {
		t.Errorf("only %d files were looked at", files)
	}
}
