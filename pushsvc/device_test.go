package pushsvc_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

func TestDeviceCookies(t *testing.T) {
	day := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	secret := []byte("secret")
	a := pushsvc.NewBrowser(secret, "a.example", "seed", day)
	if again := pushsvc.NewBrowser(secret, "a.example", "seed", day.Add(time.Hour)); again.Device() != a.Device() {
		t.Error("the same seed makes another device")
	}
	for _, other := range []pushsvc.Browser{
		pushsvc.NewBrowser(secret, "a.example", "seeds", day), pushsvc.NewBrowser(secret, "b.example", "seed", day),
		pushsvc.NewBrowser([]byte("other"), "a.example", "seed", day), pushsvc.NewBrowser(secret, "a.examples", "eed", day),
		a.Next(secret, "a.example", "batch", day),
	} {
		if a.Device() == other.Device() {
			t.Errorf("two browsers are the device %v", a.Device())
		}
	}
	next := a.Next(secret, "a.example", "batch", day)
	if next.Line() != a.Line() || next.Device() != a.Next(secret, "a.example", "batch", day).Device() || next.Device() == a.Next(secret, "a.example", "other", day).Device() {
		t.Error("the browser's next cookie")
	}
	text := string(a.Cookie(secret, "a.example"))
	if b, ok := pushsvc.OpenDeviceCookie(secret, "a.example", text); !ok || b != a || b.Device().IsZero() || len(text) != 60 {
		t.Errorf("%s is not a cookie: %v, want %v", text, b, a)
	}
	bad := []string{"", "0", text + "A", text[1:], strings.Repeat("!", 60), strings.Repeat("A", 60), strings.Repeat("B", 22), text[:30] + "\n" + text[30:]}
	for i := range text { // change each byte
		flip := []byte(text)
		if flip[i]++; flip[i] == text[i] {
			continue
		}
		bad = append(bad, string(flip))
	}
	for _, bad := range bad {
		if _, ok := pushsvc.OpenDeviceCookie(secret, "a.example", bad); ok {
			t.Errorf("%q is a cookie", bad)
		}
	}
	for site, secret := range map[string]string{"b.example": "secret", "a.example": "other"} {
		if _, ok := pushsvc.OpenDeviceCookie([]byte(secret), site, text); ok {
			t.Errorf("%s with %s takes another's cookie", site, secret)
		}
	}
	device := a.Line()
	token := pushsvc.PopupToken(secret, "a.example", "sale", "b", device)
	if !pushsvc.CheckPopupToken(secret, "a.example", "sale", "b", device, token) ||
		pushsvc.CheckPopupToken(secret, "a.example", "saleb", "", device, token) || pushsvc.CheckPopupToken(secret, "a.example", "sale", "b", device, "") {
		t.Error("tokens of pop-ups")
	}
	if len(people.NewProfileID(day)) != 36 || people.NewProfileID(day)[14] != '7' || people.NewProfileID(day) > people.NewProfileID(day.Add(time.Millisecond)) {
		t.Error("ids of profiles don't rise")
	}
}
