package caddymodule

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDesignPackages: the list in pushsvc/DESIGN.md has every package folder, and no other.
func TestDesignPackages(t *testing.T) {
	doc, err := os.ReadFile("../pushsvc/DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	list, _, _ := strings.Cut(string(doc), "\n## ")
	listed := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z]+)(/…)?` \\|").FindAllStringSubmatch(list, -1) {
		listed[row[1]] = row[1] != "pushsvc"
	}
	folders, err := os.ReadDir("../pushsvc")
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if !folder.IsDir() {
			continue
		}
		if !listed[folder.Name()] {
			t.Errorf("pushsvc/DESIGN.md does not list %s", folder.Name())
		}
		delete(listed, folder.Name())
	}
	for name, isFolder := range listed {
		if isFolder {
			t.Errorf("pushsvc/DESIGN.md lists %s, which is no folder", name)
		}
	}
}

// TestDesignFiles: the sources that the documents for developers name exist, below the document's
// folder, or below the root.
func TestDesignFiles(t *testing.T) {
	files := sourceFiles(t)
	documents := []string{".github/CONTRIBUTING.md"}
	for _, file := range files {
		if filepath.Base(file) == "DESIGN.md" {
			documents = append(documents, file)
		}
	}
	if len(documents) < 7 {
		t.Errorf("found %q", documents)
	}
	name := regexp.MustCompile("`([a-zA-Z0-9_./-]+\\.(?:go|ts))`")
	for _, document := range documents {
		text, err := os.ReadFile("../" + document)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range name.FindAllStringSubmatch(string(text), -1) {
			if !hasFile(files, filepath.ToSlash(filepath.Dir(document)), found[1]) {
				t.Errorf("%s names %s, which does not exist", document, found[1])
			}
		}
	}
}

// sourceFiles returns the paths of the repository's files.
func sourceFiles(t *testing.T) (files []string) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git" || entry.Name() == "dist"):
			return fs.SkipDir
		case !entry.IsDir():
			files = append(files, strings.TrimPrefix(filepath.ToSlash(path), "../"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// hasFile reports whether a file's path ends with name, in the folder or at the root.
func hasFile(files []string, folder, name string) bool {
	for _, file := range files {
		if file == name || strings.HasSuffix(file, "/"+name) && (strings.HasPrefix(file, folder+"/") || strings.Contains(name, "/") || folder == ".github") {
			return true
		}
	}
	return false
}
