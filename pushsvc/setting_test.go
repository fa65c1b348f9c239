package pushsvc_test

import (
	"errors"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

func TestPutSettingRule(t *testing.T) {
	known := pushsvc.Setting{Site: "a", Name: "n", Document: []byte("1"), Revision: 4, Updated: at(1)}
	for name, c := range map[string]struct {
		known    pushsvc.Setting
		document string
		expect   pushsvc.Revision
		stays    bool
		err      error
	}{
		"new":                           {document: "2", expect: 0},
		"new, any":                      {document: "2", expect: pushsvc.AnyRevision},
		"new, was removed meanwhile":    {document: "2", expect: 4, err: pushsvc.ErrRevision},
		"another":                       {known: known, document: "2", expect: 4},
		"another, any":                  {known: known, document: "2", expect: pushsvc.AnyRevision},
		"another, of what was before":   {known: known, document: "2", expect: 3, err: pushsvc.ErrRevision},
		"another, of what isn't there":  {known: known, document: "2", expect: 0, err: pushsvc.ErrRevision},
		"the same, whatever expected":   {known: known, document: "1", expect: 2, stays: true},
		"an empty document that is new": {document: "", expect: 0},
	} {
		row := pushsvc.Setting{Site: "a", Name: "n", Document: []byte(c.document), Updated: at(2.0005)}
		got, ok, err := row.Put(c.known, c.expect)
		switch {
		case !errors.Is(err, c.err):
			t.Errorf("%s: error %v, want %v", name, err, c.err)
		case err != nil:
		case ok == c.stays:
			t.Errorf("%s: to be written: %v", name, ok)
		case ok && (string(got.Document) != c.document || !got.Updated.Equal(at(2))):
			t.Errorf("%s: %+v", name, got)
		case !ok && got.Revision != 4:
			t.Errorf("%s: %+v instead of the one that is there", name, got)
		}
	}
}

func TestRemoveRevision(t *testing.T) {
	for _, c := range []struct {
		expect, present pushsvc.Revision
		want            error
	}{
		{4, 4, nil},
		{pushsvc.AnyRevision, 4, nil},
		{3, 4, pushsvc.ErrRevision},
		{0, 4, pushsvc.ErrRevision},
		{4, 0, pushsvc.ErrNotFound},
		{0, 0, pushsvc.ErrNotFound},
		{pushsvc.AnyRevision, 0, pushsvc.ErrNotFound},
	} {
		if err := c.expect.Remove(c.present); !errors.Is(err, c.want) {
			t.Errorf("%d of %d: %v, want %v", c.expect, c.present, err, c.want)
		}
	}
}

func TestJoinSettings(t *testing.T) {
	row := func(name, document string) pushsvc.Setting {
		return pushsvc.Setting{Name: name, Document: []byte(document)}
	}
	put := pushsvc.JoinSettings([]pushsvc.Setting{row("a", "own")}, []pushsvc.Setting{row("a", "other"), row("b", "other")})
	if len(put) != 1 || put[0].Name != "b" {
		t.Errorf("%+v", put)
	}
}
