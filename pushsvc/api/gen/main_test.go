package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCommitted: what is committed is what the types give, and what differs is found.
func TestCommitted(t *testing.T) {
	if err := run("..", true); err != nil {
		t.Error(err)
	}
	text, err := openAPI(nil, newDocs(filepath.Join("..", "..", "..")))
	if err != nil {
		t.Fatal(err)
	}
	if committed, err := os.ReadFile(filepath.Join("..", "openapi.json")); err != nil || string(committed) == string(text) {
		t.Errorf("without routes the document is the same, %v", err)
	}
}
