package audience_test

import (
	"slices"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/audience"
)

func TestMentions(t *testing.T) {
	for expression, want := range map[string][2][]string{
		`events.Charged.count > 0 && profile.City == "Ulm"`:                        {{"Charged"}, {"City"}},
		`events["Added to cart"].count > events.Charged.count`:                     {{"Added to cart", "Charged"}, nil},
		`has(profile.Plan) || profile.?City.orValue("") == "x" || "a" in profile`:  {nil, {"City", "Plan", "a"}},
		`profile["x y"] == 1 && profile[?"z"].hasValue() && profile[language] > 2`: {nil, {"x y", "z"}},
		`subscribed && device == "phone"`:                                          {nil, nil},
		`visits >`:                                                                 {nil, nil},
		``:                                                                         {nil, nil},
	} {
		events, attributes := audience.Mentions(expression)
		if !slices.Equal(events, want[0]) || !slices.Equal(attributes, want[1]) {
			t.Errorf("%s: %q and %q", expression, events, attributes)
		}
	}
}
