package pushsvc

import "testing"

func TestDidYouMean(t *testing.T) {
	for _, tt := range []struct{ separator, near, want string }{
		{"; ", "", ""},
		{"; ", "news", `; did you mean "news"?`},
		{": ", "send", `: did you mean "send"?`},
		{": ", "--title", ": did you mean --title?"},
	} {
		if got := DidYouMean(tt.separator, tt.near); got != tt.want {
			t.Errorf("%q, %q: %q, want %q", tt.separator, tt.near, got, tt.want)
		}
	}
}
