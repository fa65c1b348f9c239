package pushsvc_test

import (
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

func TestSiteName(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	longest := strings.Join([]string{label63, label63, label63, strings.Repeat("a", 61)}, ".")
	for _, tt := range []struct{ host, want string }{
		{"shop.example.com", "shop.example.com"},
		{"SHOP.Example.COM", "shop.example.com"},
		{"shop.example.com.", "shop.example.com"},
		{"shop.example.com:443", "shop.example.com"},
		{"shop.example.com.:80", "shop.example.com"},
		{"localhost:8080", "localhost:8080"},
		{"localhost:08080", "localhost:8080"},
		{"localhost:00443", "localhost"},
		{"my_host-1.local", "my_host-1.local"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"127.0.0.1:65535", "127.0.0.1:65535"},
		{"[::1]", "[::1]"},
		{"[::1]:8080", "[::1]:8080"},
		{"[0:0:0:0:0:0:0:1]:443", "[::1]"},
		{"[2001:DB8::A]", "[2001:db8::a]"},
		{longest + ":65535", longest + ":65535"},
	} {
		got, err := pushsvc.SiteName(tt.host)
		if err != nil || got != tt.want {
			t.Errorf("SiteName(%q) = %q, %v; want %q", tt.host, got, err, tt.want)
		}
	}
}

func TestSiteNameRefused(t *testing.T) {
	for _, host := range []string{
		"", ".", "..", ":", ":443", "a..b", ".a", "a..", "a b", "a\tb", "a\x00b", "a/b", "a?b", "a#b", "a@b", `a\b`, "a%62c",
		"a:", "a:b", "a:-1", "a:+80", "a:0", "a:65536", "a:99999", "a:123456", "a:80:80", "::1", "[::1", "::1]", "[::1]:", "[::1]x:80",
		"[]", "[a.example]", "[a.example]:8080", "[127.0.0.1]", "[::1.]", "[fe80::1%eth0]", "[[::1]]",
		"https://a.example", "a.example,b.example", "{env.HOME}",
		"bücher.example", "shop\u212aeeper.example", "ａ.example", "a。example", "a\xff",
		strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 127) + "aa", strings.Repeat("a", 300),
	} {
		if got, err := pushsvc.SiteName(host); err == nil {
			t.Errorf("SiteName(%q) = %q; want an error", host, got)
		}
	}
}

// FuzzSiteName: a canonical name is its own canonical name, in ASCII lower case, and not too long.
func FuzzSiteName(f *testing.F) {
	for _, seed := range []string{"Shop.Example.com.:443", "[::1]:080", "a:0", "\u212a", "[a]", "1.2.3.4.:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		name, err := pushsvc.SiteName(host)
		if err != nil {
			return
		}
		again, err := pushsvc.SiteName(name)
		if err != nil || again != name {
			t.Errorf("SiteName(%q) = %q, of which SiteName is %q, %v", host, name, again, err)
		}
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.:[]") != "" || len(name) > pushsvc.MaxSiteName {
			t.Errorf("SiteName(%q) = %q", host, name)
		}
		if shouted, err := pushsvc.SiteName(strings.ToUpper(name)); err != nil || shouted != name {
			t.Errorf("SiteName of %q in capitals = %q, %v", name, shouted, err)
		}
	})
}

// TestGivenSite: operators may write names in Unicode.
func TestGivenSite(t *testing.T) {
	for given, want := range map[string]string{
		"münchen.example": "xn--mnchen-3ya.example", "MÜNCHEN.example": "xn--mnchen-3ya.example",
		"бутик.example:8443": "xn--90aog4ae.example:8443", "例え.テスト": "xn--r8jz45g.xn--zckzah", "straße.example": "xn--strae-oqa.example",
		"shop.example": "shop.example", "Shop.Example:8080": "Shop.Example:8080", " shop.example ": "shop.example", "[::1]:8080": "[::1]:8080",
		"a_b.example": "a_b.example", "": "",
	} {
		if got := pushsvc.GivenSite(given); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
}
