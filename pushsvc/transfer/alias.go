package transfer

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// aliases are the names that a field may have in a file, in lower case. A table's columns and a JSON record's
// members share them. The first name of a field is OneSignal's. The others come from web-push libraries and
// their frameworks: Laravel (public_key, auth_token), Perfecty and Mastodon (key_p256dh, key_auth), Rails
// (p256dh_key, auth_key), Django (registration_id), PHP (publickey, authtoken), Discourse (data).
var aliases = map[string][]string{
	"endpoint":   {"identifier", "endpoint", "push_endpoint", "subscription_endpoint", "registration_id", "endpoint_url", "push_token", "token"},
	"auth":       {"web_auth", "auth", "auth_key", "key_auth", "keys.auth", "keys_auth", "auth_token", "authtoken", "auth_secret", "authsecret"},
	"p256dh":     {"web_p256", "p256dh", "p256", "web_p256dh", "p256dh_key", "key_p256dh", "keys.p256dh", "keys_p256dh", "public_key", "publickey", "p256dhkey"},
	"language":   {"language", "lang", "locale"},
	"zone":       {"timezone_id", "time_zone", "timezone"},
	"created":    {"created_at", "created", "createdat", "date_created", "registered_at"},
	"seen":       {"last_active", "last_seen", "seen", "updated_at", "updatedat"},
	"invalid":    {"invalid_identifier", "unsubscribed"},
	"subscribed": {"subscribed", "enabled", "is_active", "active"},
	"types":      {"notification_types"},
	"device":     {"device_type"},
	"key":        {"applicationserverkey", "application_server_key", "vapid_public_key", "vapid_key", "vapidkey"},
	"expiration": {"expirationtime", "expiration_time"},
	"page":       {"page"},
	"topics":     {"topics"},
}

// jsonNames are the usual names of a field that holds a PushSubscription as JSON; they are tried first.
var jsonNames = []string{"subscription", "push_subscription", "pushsubscription", "subscription_info", "subscription_json", "data", "keys"}

// webDevices are OneSignal's device types of browsers: Chrome, old Safari, Firefox, Safari, Edge, and their
// names in newer exports.
var webDevices = []string{"5", "7", "8", "17", "12", "chromepush", "firefoxpush", "safaripush", "safarilegacypush", "windowpush", "edgepush"}

// skipReason returns why a record is not imported, or "". field returns the record's text under one of the
// names in aliases.
func skipReason(field func(what string) string) string {
	if device := strings.ToLower(field("device")); device != "" && !slices.Contains(webDevices, device) {
		return "another channel"
	}
	if isYes(field("invalid")) || isNo(field("subscribed")) {
		return "unsubscribed"
	}
	// 1 means subscribed; 0 and below mean not, or no longer.
	if n, err := strconv.Atoi(field("types")); err == nil && n <= 0 {
		return "unsubscribed"
	}
	return ""
}

func isYes(s string) bool {
	return slices.Contains([]string{"t", "true", "1", "yes"}, strings.ToLower(s))
}

func isNo(s string) bool {
	return slices.Contains([]string{"f", "false", "0", "no"}, strings.ToLower(s))
}

// isNull reports whether a table's field is a database's NULL.
func isNull(s string) bool { return s == "NULL" || s == `\N` }

// identifier matches a name that may be shown: it can't be a key, a token or an endpoint.
var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_. -]{0,31}$`)

// maxNamed is how many names an error lists.
const maxNamed = 15

// nameList lists the names that a file has, for an error. A name that may be a value is only counted.
func nameList(names []string) string {
	var shown []string
	for _, name := range names {
		if identifier.MatchString(name) && len(shown) < maxNamed {
			shown = append(shown, name)
		}
	}
	list := strings.Join(shown, ", ")
	switch more := len(names) - len(shown); {
	case len(names) == 0:
		return "nothing"
	case len(shown) == 0:
		return fmt.Sprintf("%d without a plain name", more)
	case more > 0:
		return fmt.Sprintf("%s and %d more", list, more)
	}
	return list
}
