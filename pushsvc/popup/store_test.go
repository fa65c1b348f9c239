package popup_test

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

func TestPutRule(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 1234567, time.UTC)
	stored := func(name string) popup.Stored {
		return popup.Stored{Site: "a", Popup: popup.Popup{ID: "p", Name: name}, Created: at, Updated: at}
	}
	known := stored("old")
	known.Revision, known.Created = 4, at.Add(-time.Hour).Truncate(time.Millisecond)
	for name, c := range map[string]struct {
		put    popup.Stored
		known  popup.Stored
		others int
		expect pushsvc.Revision
		stays  bool
		err    error
	}{
		"new":                         {put: stored("x"), others: popup.MaxPopups - 1},
		"one too many":                {put: stored("x"), others: popup.MaxPopups, err: popup.ErrFull},
		"another of the most":         {put: stored("x"), known: known, others: popup.MaxPopups, expect: 4},
		"another":                     {put: stored("x"), known: known, expect: 4},
		"another, whatever is there":  {put: stored("x"), known: known, expect: pushsvc.AnyRevision},
		"another, of what was before": {put: stored("x"), known: known, expect: 3, err: pushsvc.ErrRevision},
		"removed meanwhile":           {put: stored("x"), expect: 4, err: pushsvc.ErrRevision},
		"the same":                    {put: stored("old"), known: known, expect: 1, stays: true},
	} {
		row, ok, err := c.put.Put(c.known, c.others, c.expect)
		created := at.Truncate(time.Millisecond)
		if c.known.Revision != 0 {
			created = c.known.Created
		}
		if !errors.Is(err, c.err) || err == nil && (ok == c.stays || !row.Created.Equal(created)) {
			t.Errorf("%s: %+v, to be written: %v, %v", name, row, ok, err)
		}
	}
}

func TestPutUploadRule(t *testing.T) {
	data := []byte("x")
	u := popup.Upload{Site: "a", Name: "x.png", Data: data, Created: time.Unix(1, 1234567)}
	row, ok, err := u.Put(popup.Upload{}, popup.MaxUploads-1)
	if data[0] = 'y'; !ok || err != nil || row.Size != 1 || string(row.Data) != "x" || !row.Created.Equal(time.Unix(1, 1000000)) {
		t.Errorf("%+v, %v, %v", row, ok, err)
	}
	if _, _, err := u.Put(popup.Upload{}, popup.MaxUploads); !errors.Is(err, popup.ErrFull) {
		t.Errorf("one too many: %v", err)
	}
	if got, ok, err := u.Put(row, popup.MaxUploads); ok || err != nil || string(got.Data) != "x" {
		t.Errorf("one that is there: %+v, %v, %v", got, ok, err)
	}
}
