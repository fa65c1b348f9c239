package boltstore

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// TestPopupRowsBeforeMerging: a row from a program without merging shows the same
// here as there; a present row shows the same in such a program as here.
func TestPopupRowsBeforeMerging(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "webpush.db"))
	var old popup.Popup
	if err := json.Unmarshal([]byte(`{"id":"sale","state":"running","kind":"box",
		"content":{"title":"T","body":"B","buttons":[{"id":"pay","text":"Pay"}]},"theme":{"color":"red","width":480},
		"variants":[{"id":"a","weight":1},{"id":"b","weight":1,"content":{"title":"V"},"theme":{"color":"blue"}}]}`), &old); err != nil {
		t.Fatal(err)
	}
	put := func(row any) {
		t.Helper()
		_, err := write(t.Context(), s, func(w *writeTx) (struct{}, error) {
			st, err := w.makePopups("a.example")
			if err != nil {
				return struct{}{}, err
			}
			return struct{}{}, st.putJSON(w, popupRows, []byte("sale"), row)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	put(map[string]any{"popup": old, "revision": 1, "created": "2026-01-02T03:04:05Z", "updated": "2026-01-02T03:04:05Z"})
	row, err := s.Popup(t.Context(), "a.example", "sale")
	if err != nil {
		t.Fatal(err)
	}
	if a, _, theme := row.Popup.Variant("a"); a.Title != "T" || a.Body != "B" || theme.Width != 480 {
		t.Errorf("the variant that had nothing: %+v %+v", a, theme)
	}
	if b, _, theme := row.Popup.Variant("b"); b.Title != "V" || b.Body != "" || b.Buttons != nil || theme.Color != "blue" || theme.Width != 0 {
		t.Errorf("the variant that had a title alone: %+v %+v", b, theme)
	}

	if _, err := s.PutPopup(t.Context(), popup.Stored{Site: "a.example", Popup: old}, pushsvc.AnyRevision); err != nil {
		t.Fatal(err)
	}
	if row, err = s.Popup(t.Context(), "a.example", "sale"); err != nil {
		t.Fatal(err)
	}
	if b, _, theme := row.Popup.Variant("b"); b.Title != "V" || b.Body != "B" || len(b.Buttons) != 1 || theme.Width != 480 || row.Popup.Variants[1].Content.Body != "" {
		t.Errorf("put again: %+v %+v of %+v", b, theme, row.Popup.Variants)
	}
	stored, err := read(t.Context(), s, func(tx *bolt.Tx) (popupRow, error) {
		var row popupRow
		st, _ := openPopups(tx, "a.example")
		_, err := st.getJSON(popupRows, []byte("sale"), &row)
		return row, err
	})
	if err != nil || stored.Popup.Variants[1].Content.Body != "B" || stored.Popup.Variants[1].Theme.Width != 480 {
		t.Errorf("what an older program reads: %+v, %v", stored.Popup.Variants, err)
	}
}
