package service

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// PreviewParameter is the query parameter that shows a pop-up to an operator.
const PreviewParameter = "webpush_preview"

// previewTime is how long a preview's address is valid.
const previewTime = time.Hour

// Preview makes an address that shows a pop-up, whatever its state. page is a
// URL, or a path of the site; empty means its start page. An empty variant means
// the first one.
func (s *Service) Preview(ctx context.Context, site, id, variant, page string) (api.Preview, error) {
	row, err := s.Popup(ctx, site, id)
	if err != nil {
		return api.Preview{}, err
	}
	variants := row.Popup.Variants
	if variant == "" && len(variants) > 0 {
		variant = variants[0].ID
	}
	if variant != "" && !hasVariant(variants, variant) {
		return api.Preview{}, &pushsvc.FieldError{Field: "variant", Problem: "is not one of the pop-up's variants: " + variantIDs(variants)}
	}
	if page == "" || strings.HasPrefix(page, "/") && !strings.HasPrefix(page, "//") {
		page = s.origin(row.Site) + "/" + strings.TrimPrefix(page, "/")
	}
	// The page is the operator's own word, so the error can repeat it.
	if err := pushsvc.CheckURL("page", page); err != nil {
		bad, _ := errors.AsType[*pushsvc.FieldError](err)
		return api.Preview{}, &pushsvc.FieldError{Field: "page", Problem: fmt.Sprintf("%q %s", page, bad.Problem)}
	}
	u, err := url.Parse(page)
	if err != nil {
		return api.Preview{}, &pushsvc.FieldError{Field: "page", Problem: fmt.Sprintf("%q is not a URL: give a path such as \"/sale\", or a full URL", page)}
	}
	secret, err := s.live().Secret(ctx)
	if err != nil {
		return api.Preview{}, err
	}
	expires := s.Clock().Add(previewTime).Truncate(time.Second)
	query := u.Query()
	query.Set(PreviewParameter, previewToken(secret, row.Site, id, variant, expires))
	u.RawQuery = query.Encode()
	return api.Preview{URL: u.String(), Expires: expires.UTC()}, nil
}

// origin returns a site's most likely origin: the configuration's, or one from
// its name, with https except for this machine's ports, as in trials.
func (s *Service) origin(site string) string {
	if s.Configured != nil {
		if at := s.Configured.Origin(site); at != "" {
			return at
		}
	}
	if host, _, err := net.SplitHostPort(site); err == nil {
		if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() || host == "localhost" {
			return "http://" + site
		}
	}
	return "https://" + site
}

func hasVariant(variants []popup.Variant, id string) bool {
	for _, v := range variants {
		if v.ID == id {
			return true
		}
	}
	return false
}

// variantIDs returns "a, b", or "none".
func variantIDs(variants []popup.Variant) string {
	if len(variants) == 0 {
		return "none"
	}
	ids := make([]string, len(variants))
	for i, v := range variants {
		ids[i] = v.ID
	}
	return strings.Join(ids, ", ")
}

// previewToken returns id.variant.seconds.MAC: no part has a dot.
func previewToken(secret []byte, site, id, variant string, expires time.Time) string {
	text := id + "." + variant + "." + strconv.FormatInt(expires.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "preview %d:%s%s", len(site), site, text)
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// openPreview returns the parts of a token; false if it is invalid or too old.
func openPreview(secret []byte, site, token string, now time.Time) (id, variant string, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 4 {
		return "", "", false
	}
	seconds, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return "", "", false
	}
	expires := time.Unix(seconds, 0)
	want := previewToken(secret, site, parts[0], parts[1], expires)
	if !hmac.Equal([]byte(want), []byte(token)) || now.After(expires) {
		return "", "", false
	}
	return parts[0], parts[1], true
}

// preview returns the one pop-up that a token is for, read from the store: it may
// be a draft. It has no report token, so that nothing is counted.
func (v *popupsVisit) preview(ctx context.Context) (PopupsAnswer, error) {
	answer := PopupsAnswer{Popups: []WirePopup{}, Preview: true}
	id, variant, ok := openPreview(v.secret, v.site, v.r.Preview, v.now)
	if !ok {
		return answer, &pushsvc.FieldError{Field: "preview", Problem: "is invalid or has expired: make a new address"}
	}
	row, err := v.service.Store.Popup(ctx, v.site, id)
	if err != nil {
		return answer, err
	}
	_, texts, err := compile(&row.Popup)
	if err != nil {
		return answer, err
	}
	plain, escaped := v.values()
	m, err := texts.Render(variant, plain, escaped)
	if err != nil {
		return answer, &pushsvc.FieldError{Field: "preview", Problem: "can't be filled in for you: " + err.Error()}
	}
	p := v.wire(&row.Popup, variant, "", m)
	p.When, p.Caps = popup.When{}, SessionCap{}
	answer.Popups = append(answer.Popups, p)
	return answer, nil
}
