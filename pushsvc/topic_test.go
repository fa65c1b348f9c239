package pushsvc_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

func TestCleanTopics(t *testing.T) {
	long := strings.Repeat("x", pushsvc.MaxTopicID)
	for _, tt := range []struct{ in, want []string }{
		{[]string{}, []string{}},
		{[]string{"news", "deals", "news"}, []string{"deals", "news"}},
		{[]string{"", "a b", "ü", "a\x00", "a/b", long + "x", long, "A-1_z"}, []string{"A-1_z", long}},
		{strings.Split("n m l k j i h g f e d c b a", " "), strings.Split("a b c d e f g h i j", " ")},
	} {
		before := slices.Clone(tt.in)
		if got := pushsvc.CleanTopics(tt.in); got == nil || !slices.Equal(got, tt.want) || !slices.Equal(tt.in, before) {
			t.Errorf("%q: %q, want %q", before, got, tt.want)
		}
	}
	if pushsvc.CleanTopics(nil) != nil {
		t.Error("no choice became one")
	}
}

func TestCheckTopics(t *testing.T) {
	for _, tt := range []struct {
		ids   []string
		field string
	}{
		{nil, ""},
		{[]string{"news", "A-1_z"}, ""},
		{[]string{"news", ""}, "topics[1]"},
		{[]string{"a b"}, "topics[0]"},
		{make([]string, pushsvc.MaxTopics+1), "topics"},
	} {
		err := pushsvc.CheckTopics(tt.ids)
		var bad *pushsvc.FieldError
		if errors.As(err, &bad); (err == nil) != (tt.field == "") || bad != nil && bad.Field != tt.field {
			t.Errorf("%q: %v", tt.ids, err)
		}
	}
}

func TestIsFor(t *testing.T) {
	for _, tt := range []struct {
		message, chosen string
		want            bool
	}{
		{"", "", true},
		{"", "news", true},
		{"news", "", false},
		{"news", "news", true},
		{"news", "deals", false},
		{"deals news", "news sport", true},
		{"deals news", "sport", false},
		{"new", "news", false},
	} {
		m, s := pushsvc.Message{Topics: strings.Fields(tt.message)}, pushsvc.Subscription{Topics: strings.Fields(tt.chosen)}
		if got := m.IsFor(&s); got != tt.want {
			t.Errorf("message of %q, %q chosen: %v", tt.message, tt.chosen, got)
		}
	}
}
