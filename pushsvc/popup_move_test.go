package pushsvc

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
)

// TestJoinPopups: the same one is one, another of the id gets another id.
func TestJoinPopups(t *testing.T) {
	popup := func(id, title string, state PopupState) StoredPopup {
		return StoredPopup{Popup: Popup{ID: id, State: state, Content: PopupContent{Title: title}}}
	}
	have := []StoredPopup{popup("a", "A", PopupRunning), popup("b", "B", PopupRunning), popup("c", "C", PopupDraft), popup("c-2", "C2", PopupDraft)}
	come := []StoredPopup{
		popup("a", "A", PopupRunning), popup("b", "other", PopupRunning), popup("b-2", "taken", PopupRunning), popup("c", "other", PopupDraft), popup("d", "D", PopupRunning),
	}
	put, renamed, err := JoinPopups(have, come)
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
	long := popup(string(make([]byte, MaxPopupID)), "x", PopupRunning)
	other := long
	other.Popup.Content.Title = "y"
	if put, _, err := JoinPopups([]StoredPopup{long}, []StoredPopup{other}); err != nil || len(put) != 1 || len(put[0].Popup.ID) != MaxPopupID || put[0].Popup.ID == long.Popup.ID {
		t.Errorf("a long id: %v, %v", put, err)
	}
	many := make([]StoredPopup, MaxPopups)
	for i := range many {
		many[i] = popup(fmt.Sprint("m", i), "x", PopupDraft)
	}
	if _, _, err := JoinPopups(many, many); err != nil {
		t.Errorf("the same ones: %v", err)
	}
	if _, _, err := JoinPopups(many, have[:1]); !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v", err)
	}
}
