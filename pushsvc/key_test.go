package pushsvc_test

import (
	"errors"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

func TestAddKey(t *testing.T) {
	key := func(id, public string, current bool) pushsvc.Key {
		return pushsvc.Key{ID: id, Public: public, Created: at(1), Current: current}
	}
	for name, c := range map[string]struct {
		key, known           pushsvc.Key
		current, haveCurrent bool
		want                 pushsvc.Key
		refused              bool
	}{
		"the first":              {key: key("a", "A", false), want: key("a", "A", true)},
		"another":                {key: key("a", "A", false), haveCurrent: true, want: key("a", "A", false)},
		"another as the current": {key: key("a", "A", false), haveCurrent: true, current: true, want: key("a", "A", true)},
		"no date":                {key: pushsvc.Key{ID: "a"}, want: pushsvc.Key{ID: "a", Created: at(9), Current: true}},
		"known keeps its date": {
			key: pushsvc.Key{ID: "a", Public: "A", Created: at(5)}, known: key("a", "A", false), haveCurrent: true, want: key("a", "A", false),
		},
		"the current one stays it":       {key: key("a", "A", false), known: key("a", "A", true), haveCurrent: true, want: key("a", "A", true)},
		"another pair with the same id":  {key: key("a", "B", false), known: key("a", "A", false), refused: true},
		"another secret of the same id":  {key: pushsvc.Key{ID: "a", Public: "A", Private: "x"}, known: key("a", "A", false), refused: true},
		"the current one can't be read":  {key: key("a", "A", false), known: key("a", "A", false), want: key("a", "A", true)},
		"a known row that can't be read": {key: key("a", "B", false), known: pushsvc.Key{Public: "?"}, haveCurrent: true, want: key("a", "B", false)},
	} {
		got, err := pushsvc.AddKey(c.key, c.known, c.current, c.haveCurrent, at(9))
		if (err != nil) != c.refused || err == nil && got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
}

func TestCurrentKey(t *testing.T) {
	old, current := pushsvc.Key{ID: "a"}, pushsvc.Key{ID: "b", Current: true}
	for name, c := range map[string]struct {
		ring       []pushsvc.Key
		subscribed bool
		want       string
		err        error
	}{
		"a current key":                   {ring: []pushsvc.Key{old, current}, want: "b"},
		"a current key, subscribers":      {ring: []pushsvc.Key{current, old}, subscribed: true, want: "b"},
		"no key":                          {err: pushsvc.ErrRingEmpty},
		"subscribers without their key":   {subscribed: true, err: pushsvc.ErrKeyLost},
		"no current key":                  {ring: []pushsvc.Key{old}, err: pushsvc.ErrRingEmpty},
		"no current key, but subscribers": {ring: []pushsvc.Key{old}, subscribed: true, err: pushsvc.ErrKeyLost},
	} {
		got, err := pushsvc.CurrentKey(c.ring, func() bool { return c.subscribed })
		if got.ID != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %+v, %v; want %q, %v", name, got, err, c.want, c.err)
		}
	}
}

func TestSortKeys(t *testing.T) {
	keys := []pushsvc.Key{{ID: "c", Created: at(3)}, {ID: "b", Created: at(2)}, {ID: "d", Created: at(4), Current: true}}
	pushsvc.SortKeys(keys)
	if got := keys[0].ID + keys[1].ID + keys[2].ID; got != "dbc" {
		t.Errorf("in the order %s", got)
	}
}
