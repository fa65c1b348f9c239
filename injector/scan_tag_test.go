package injector

import "testing"

// TestElements: each name in the table has its element, and no other tag name has one.
func TestElements(t *testing.T) {
	for el := range elements {
		name := elements[el].name
		if name == "" {
			continue
		}
		if got := elementOf([]byte(name)); got != element(el) {
			t.Errorf("%s is element %d, not %d: another name has its slot", name, got, el)
		}
		if len(name) > maxName {
			t.Errorf("%s is longer than maxName", name)
		}
		if elements[el].matters == 0 {
			t.Errorf("%s matters nowhere", name)
		}
	}
	for _, name := range []string{"", "a", "hear", "body", "template", "plaintext", "HEAD", "svg", "xm", "metal"} {
		if got := elementOf([]byte(name)); got != elOther {
			t.Errorf("%q is element %d", name, got)
		}
	}
}
