package transfer

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// jsonKeys are a subscription's keys in base64url.
type jsonKeys struct {
	P256DH string `json:"p256dh"`
	Auth   string `json:"auth"`
}

// UnmarshalJSON implements json.Unmarshaler. The keys may be a string that holds the object.
func (k *jsonKeys) UnmarshalJSON(b []byte) error {
	type plain jsonKeys
	var inner string
	if json.Unmarshal(b, &inner) == nil {
		b = []byte(inner)
	}
	if !bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		return nil
	}
	return json.Unmarshal(b, (*plain)(k))
}

// jsonRecord has the members of all kinds of records. encoding/json ignores the case of names, so that
// expirationTime and expirationtime are one.
type jsonRecord struct {
	Endpoint       string       `json:"endpoint"`
	ExpirationTime millis       `json:"expirationTime"`
	Keys           jsonKeys     `json:"keys"`
	P256DH         string       `json:"p256dh"`
	Auth           string       `json:"auth"`
	Subscription   subscription `json:"subscription"`

	// Firebase's client stores and sends these.
	Token               text         `json:"token"`
	FCMToken            text         `json:"fcmToken"`
	SubscriptionOptions *jsonOptions `json:"subscriptionOptions"`
	Web                 *jsonOptions `json:"web"`

	ApplicationServerKey  string `json:"applicationServerKey"`
	ApplicationServerKey2 string `json:"application_server_key"`
	VAPIDKey              string `json:"vapidKey"`
	VAPIDPublicKey        string `json:"vapidPublicKey"`
	VAPIDPublicKey2       string `json:"vapid_public_key"`

	Language  text   `json:"language"`
	Lang      text   `json:"lang"`
	Locale    text   `json:"locale"`
	TimeZone  text   `json:"timeZone"`
	TimeZone2 text   `json:"time_zone"`
	Page      text   `json:"page"`
	Topics    names  `json:"topics"`
	Created   moment `json:"created"`
	CreatedAt moment `json:"createdAt"`
	Created2  moment `json:"created_at"`
	CreatedMS moment `json:"createTime"`
	Seen      moment `json:"seen"`
	Updated   moment `json:"updatedAt"`
	Updated2  moment `json:"updated_at"`

	members map[string]json.RawMessage
	outer   *jsonRecord // the record around this one
}

// jsonOptions is a subscription in one of Firebase's shapes.
type jsonOptions struct {
	Endpoint          string `json:"endpoint"`
	P256DH            string `json:"p256dh"`
	Auth              string `json:"auth"`
	VAPIDKey          string `json:"vapidKey"`
	ApplicationPubKey string `json:"applicationPubKey"`
}

// subscription is a PushSubscription, as an object or as a string that holds one.
type subscription struct {
	Endpoint       string   `json:"endpoint"`
	ExpirationTime millis   `json:"expirationTime"`
	Keys           jsonKeys `json:"keys"`
}

func (s *subscription) UnmarshalJSON(b []byte) error {
	type plain subscription
	var inner string
	if json.Unmarshal(b, &inner) == nil && inner != "" {
		b = []byte(inner)
	}
	if b[0] != '{' {
		return nil // an id of something else
	}
	return json.Unmarshal(b, (*plain)(s))
}

// text is an optional string: anything else is ignored.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
	}
	return nil
}

// names is an optional list of strings: anything else is ignored.
type names []string

func (n *names) UnmarshalJSON(b []byte) error {
	var list []string
	if json.Unmarshal(b, &list) == nil {
		*n = list
	}
	return nil
}

// moment is a time in one of the forms found in files: RFC 3339, seconds or milliseconds since 1970, or
// either as MongoDB's {"$date": …}. Anything else is ignored.
type moment struct{ time.Time }

func (m *moment) UnmarshalJSON(b []byte) error {
	var extended struct {
		Date json.RawMessage `json:"$date"`
	}
	if json.Unmarshal(b, &extended) == nil && len(extended.Date) > 0 && extended.Date[0] != '{' {
		b = extended.Date
	}
	m.Time = parseMoment(string(bytes.Trim(b, `"`)))
	return nil
}

// millis is a time in milliseconds since 1970 (Push API §8.3), even a small number.
type millis struct{ moment }

func (m *millis) UnmarshalJSON(b []byte) error {
	if _, err := strconv.ParseFloat(string(b), 64); err == nil {
		m.Time = parseMillis(string(b))
		return nil
	}
	return m.moment.UnmarshalJSON(b)
}

// parseMillis reads a number of milliseconds, or another time like parseMoment.
func parseMillis(s string) time.Time {
	ms, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil:
		return parseMoment(s)
	case ms > 0 && ms <= maxMillis:
		return time.UnixMilli(int64(ms)).UTC()
	}
	return time.Time{}
}

// maxMillis is the last time that a JavaScript Date can hold.
const maxMillis = 8.64e15

// layouts of times; OneSignal's is "2006-01-02 15:04:05 UTC".
var layouts = []string{time.RFC3339Nano, "2006-01-02 15:04:05 MST", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999", time.DateOnly}

// parseMoment returns the zero time if s is not a time after 1970.
func parseMoment(s string) time.Time {
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		if n < 1e11 { // seconds, until the year 5138
			n *= 1000
		}
		if n > 0 && n <= maxMillis {
			return time.UnixMilli(int64(n)).UTC()
		}
		return time.Time{}
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil && t.Unix() > 0 {
			return t.UTC()
		}
	}
	return time.Time{}
}

// firebaseKey is the VAPID public key that Firebase's client uses if the site has none (DEFAULT_VAPID_KEY of
// firebase-js-sdk).
const firebaseKey = "BDOU99-h67HcA6JeFXHbSNMu7e2yNNu3RzoMj8TM4W88jITfq7ZmPvIM1Iv-4_l2LxQcYwhqby2xGpWwzjfAnG4"

const (
	bareToken  = "is only a Firebase registration token: only Firebase knows the browser's endpoint and keys, and does not export them. Such a subscriber cannot be imported, and has to subscribe here at the next visit"
	foreignKey = "is Firebase's own key: only Google has its private key, so only Google can send to this subscription"
)

// maxWrapped is the maximum number of objects around a record's subscription.
const maxWrapped = 4

// parseObject reads one JSON value: an object, or a string that holds one.
func parseObject(value []byte) (Record, Format, error) {
	value = bytes.TrimSpace(value)
	if len(value) > 0 && value[0] == '"' {
		var inner string
		if json.Unmarshal(value, &inner) != nil || !isObject(inner) {
			return Record{}, "", stringError(value)
		}
		value = bytes.TrimSpace([]byte(inner))
	}
	if len(value) == 0 || value[0] != '{' {
		return Record{}, "", &RecordError{Problem: "is not a JSON object"}
	}
	j, err := decodeRecord(value, maxWrapped)
	if err != nil {
		return Record{}, "", err
	}
	rec, kind := j.record()
	switch {
	case rec.Skip != "":
		return rec, kind, nil
	case rec.Endpoint == "" && j.Token+j.FCMToken != "", looksLikeToken(rec.Endpoint):
		return Record{}, "", &RecordError{Field: "token", Problem: bareToken}
	case rec.Endpoint == "":
		return Record{}, "", &RecordError{Field: "endpoint", Problem: `is missing: a record has "endpoint" and "keys" with "p256dh" and "auth", itself or under "subscription"; this one has: ` + nameList(j.names())}
	case strings.TrimRight(rec.Key, "=") == firebaseKey:
		return Record{}, "", &RecordError{Field: "vapidKey", Problem: foreignKey}
	}
	return rec, kind, nil
}

// decodeRecord decodes an object, including the other names that its members may have. If the object has no
// endpoint, it decodes a member that has one: an object, or a string that holds one.
func decodeRecord(value []byte, depth int) (*jsonRecord, error) {
	j := new(jsonRecord)
	if err := json.Unmarshal(value, j); err != nil {
		var typ *json.UnmarshalTypeError
		if errors.As(err, &typ) && typ.Field != "" {
			return nil, &RecordError{Field: typ.Field, Problem: "is of the wrong type"}
		}
		return nil, &RecordError{Problem: "is not JSON"}
	}
	rec, _ := j.record()
	if rec.Endpoint != "" && rec.P256DH != "" && rec.Auth != "" && !mayBeSkipped(value) {
		return j, nil
	}
	if json.Unmarshal(value, &j.members) != nil {
		return nil, &RecordError{Problem: "is not JSON"}
	}
	j.complete()
	if rec, _ = j.record(); rec.Endpoint != "" || depth == 0 {
		return j, nil
	}
	for _, name := range j.wrappers() {
		raw := j.members[name]
		var inner string
		if json.Unmarshal(raw, &inner) == nil {
			raw = []byte(inner)
		}
		if raw = bytes.TrimSpace(raw); len(raw) == 0 || raw[0] != '{' {
			continue
		}
		below, err := decodeRecord(raw, depth-1)
		if err != nil {
			continue
		}
		if rec, _ := below.record(); rec.Endpoint != "" {
			below.outer = j
			return below, nil
		}
	}
	return j, nil
}

// skipNames are the names of members that may be a reason to skip a record.
var skipNames = func() (names [][]byte) {
	for _, what := range []string{"invalid", "subscribed", "types", "device"} {
		for _, name := range aliases[what] {
			names = append(names, []byte(`"`+name+`"`))
		}
	}
	return names
}()

// mayBeSkipped reports whether skipReason must be called. It saves decoding the members of most records.
func mayBeSkipped(value []byte) bool {
	return slices.ContainsFunc(skipNames, func(name []byte) bool { return bytes.Contains(value, name) })
}

// names returns the names of the record's members, sorted.
func (j *jsonRecord) names() []string { return slices.Sorted(maps.Keys(j.members)) }

// wrappers returns the names of members that may hold the subscription, the likely ones first.
func (j *jsonRecord) wrappers() []string {
	names := j.names()
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	return names
}

func rank(name string) int {
	if i := slices.Index(jsonNames, strings.ToLower(name)); i >= 0 {
		return i
	}
	return len(jsonNames)
}

// field returns the text of a member under one of the names in aliases; "" if the member is missing, or is not
// text, a number or a boolean.
func (j *jsonRecord) field(what string) string {
	for _, alias := range aliases[what] {
		for name, raw := range j.members {
			if strings.ToLower(name) != alias {
				continue
			}
			var v any
			if json.Unmarshal(raw, &v) != nil {
				continue
			}
			switch v := v.(type) {
			case string:
				if !isNull(v) {
					return strings.TrimSpace(v)
				}
			case float64, bool:
				return string(raw)
			}
		}
	}
	return ""
}

// complete fills in the fields that the record has under other names.
func (j *jsonRecord) complete() {
	if j.Endpoint == "" && j.Token == "" {
		j.Endpoint = j.field("endpoint")
	}
	j.P256DH, j.Auth = first(j.P256DH, j.field("p256dh")), first(j.Auth, j.field("auth"))
}

func stringError(value []byte) error {
	var s string
	if json.Unmarshal(value, &s) == nil && looksLikeToken(s) {
		return &RecordError{Problem: bareToken}
	}
	return &RecordError{Problem: "is not a JSON object"}
}

// looksLikeToken reports whether s is a Firebase registration token, "<instance>:APA91b…".
func looksLikeToken(s string) bool {
	_, token, found := strings.Cut(s, ":")
	return found && strings.HasPrefix(token, "APA91") || strings.HasPrefix(s, "APA91")
}

func (j *jsonRecord) record() (Record, Format) {
	rec := Record{
		Endpoint: j.Endpoint,
		P256DH:   first(j.Keys.P256DH, j.P256DH), Auth: first(j.Keys.Auth, j.Auth),
		Key:        first(j.ApplicationServerKey, j.ApplicationServerKey2, j.VAPIDKey, j.VAPIDPublicKey, j.VAPIDPublicKey2),
		Expiration: j.ExpirationTime.Time,
		Created:    firstTime(j.Created, j.CreatedAt, j.Created2, j.CreatedMS),
		Seen:       firstTime(j.Seen, j.Updated, j.Updated2),
		Language:   string(first(j.Language, j.Lang, j.Locale)),
		TimeZone:   string(first(j.TimeZone, j.TimeZone2)),
		Page:       string(j.Page),
		Topics:     j.Topics,
		Skip:       skipReason(j.field),
	}
	if j.outer != nil {
		around, _ := j.outer.record()
		rec.fill(around)
	}
	if s := j.Subscription; s.Endpoint != "" {
		rec.Endpoint, rec.P256DH, rec.Auth, rec.Expiration = s.Endpoint, s.Keys.P256DH, s.Keys.Auth, s.ExpirationTime.Time
	}
	for _, o := range []*jsonOptions{j.SubscriptionOptions, j.Web} {
		if o == nil {
			continue
		}
		rec.Endpoint, rec.P256DH, rec.Auth = o.Endpoint, o.P256DH, o.Auth
		// If the site has no key, it is Firebase's.
		rec.Key = first(o.VAPIDKey, o.ApplicationPubKey, rec.Key, firebaseKey)
		return rec, FormatFirebase
	}
	return rec, FormatWebPush
}

// fill copies what r lacks from the record around it.
func (r *Record) fill(around Record) {
	r.Key, r.Language, r.TimeZone = first(r.Key, around.Key), first(r.Language, around.Language), first(r.TimeZone, around.TimeZone)
	r.P256DH, r.Auth = first(r.P256DH, around.P256DH), first(r.Auth, around.Auth)
	r.Page, r.Skip = first(r.Page, around.Page), first(r.Skip, around.Skip)
	r.Created, r.Seen = firstTime(moment{r.Created}, moment{around.Created}), firstTime(moment{r.Seen}, moment{around.Seen})
	if r.Topics == nil {
		r.Topics = around.Topics
	}
}

// first returns the first value that is not empty.
func first[T ~string](values ...T) T {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func firstTime(values ...moment) time.Time {
	for _, v := range values {
		if !v.IsZero() {
			return v.Time
		}
	}
	return time.Time{}
}

// exported is one line of our own export.
type exported struct {
	Endpoint             string   `json:"endpoint"`
	ExpirationTime       *int64   `json:"expirationTime"`
	Keys                 jsonKeys `json:"keys"`
	ApplicationServerKey string   `json:"applicationServerKey,omitempty"`
	Language             string   `json:"language,omitempty"`
	TimeZone             string   `json:"timeZone,omitempty"`
	Page                 string   `json:"page,omitempty"`
	Topics               []string `json:"topics,omitzero"`
	Created              string   `json:"created,omitempty"`
	Seen                 string   `json:"seen,omitempty"`
}

// AppendRecord appends the record as one line of our own export: a PushSubscription (Push API §8.3) with more
// members. Reading it returns the same record, with times to the second and Expiration to the millisecond.
func AppendRecord(dst []byte, r Record) []byte {
	e := exported{
		Endpoint: r.Endpoint, Keys: jsonKeys{r.P256DH, r.Auth}, ApplicationServerKey: r.Key,
		Language: r.Language, TimeZone: r.TimeZone, Page: r.Page, Topics: r.Topics,
		Created: formatMoment(r.Created), Seen: formatMoment(r.Seen),
	}
	if !r.Expiration.IsZero() {
		ms := r.Expiration.UnixMilli()
		e.ExpirationTime = &ms
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(e) // strings and a number: it can't fail
	return append(dst, buf.Bytes()...)
}

func formatMoment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
