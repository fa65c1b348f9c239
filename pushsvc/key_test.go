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
	key := pushsvc.Key{ID: "a", Public: "A", Current: true}
	for name, c := range map[string]struct {
		current    pushsvc.Key
		subscribed bool
		want       error
	}{
		"a current key":                 {current: key},
		"a current key, subscribers":    {current: key, subscribed: true},
		"no current key":                {want: pushsvc.ErrRingEmpty},
		"subscribers without their key": {subscribed: true, want: pushsvc.ErrKeyLost},
		"a key that is lost":            {current: pushsvc.Key{Current: true}, want: pushsvc.ErrRingEmpty},
	} {
		got, err := pushsvc.CurrentKey(c.current, func() bool { return c.subscribed })
		if !errors.Is(err, c.want) || err == nil && got != c.current || err != nil && got.ID != "" {
			t.Errorf("%s: %+v, %v; want %v", name, got, err, c.want)
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
