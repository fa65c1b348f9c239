package popup

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
)

// TestJoinPopups: equal pop-ups stay one; a different one of the same id gets another id.
func TestJoinPopups(t *testing.T) {
	popup := func(id, title string, state State) Stored {
		return Stored{Popup: Popup{ID: id, State: state, Content: Content{Title: title}}}
	}
	have := []Stored{popup("a", "A", Running), popup("b", "B", Running), popup("c", "C", Draft), popup("c-2", "C2", Draft)}
	come := []Stored{
		popup("a", "A", Running), popup("b", "other", Running), popup("b-2", "taken", Running), popup("c", "other", Draft), popup("d", "D", Running),
	}
	put, renamed, err := Join(have, come)
	var got []string
	for _, p := range put {
		got = append(got, fmt.Sprint(p.Popup.ID, " ", p.Popup.Content.Title, " ", p.Popup.State))
	}
	if want := []string{"b-3 other paused", "b-2 taken running", "c-3 other draft", "d D running"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	if want := map[string]string{"b": "b-3", "c": "c-3"}; !maps.Equal(renamed, want) {
		t.Errorf("renamed %v", renamed)
	}
	long := popup(string(make([]byte, MaxID)), "x", Running)
	other := long
	other.Popup.Content.Title = "y"
	if put, _, err := Join([]Stored{long}, []Stored{other}); err != nil || len(put) != 1 || len(put[0].Popup.ID) != MaxID || put[0].Popup.ID == long.Popup.ID {
		t.Errorf("a long id: %v, %v", put, err)
	}
	many := make([]Stored, MaxPopups)
	for i := range many {
		many[i] = popup(fmt.Sprint("m", i), "x", Draft)
	}
	if _, _, err := Join(many, many); err != nil {
		t.Errorf("the same ones: %v", err)
	}
	if _, _, err := Join(many, have[:1]); !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v", err)
	}
}

// TestJoinUploads: an image that both sites have counts once.
func TestJoinUploads(t *testing.T) {
	names := make([]string, MaxUploads)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	if put, err := JoinUploads(names[1:], names); err != nil || !slices.Equal(put, names[:1]) {
		t.Errorf("the same ones and another: %q, %v", put, err)
	}
	if _, err := JoinUploads(names, []string{"another"}); !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v", err)
	}
}
