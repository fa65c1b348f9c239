package webpush

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// maxKeyNesting is the maximum depth of a key pair in a JSON file.
const maxKeyNesting = 4

// ReadKeyPair reads a key pair in any common form. private is the content of a file:
//
//   - the scalar in base64url, base64 or hex, with or without padding, quotes or a byte order mark, also of
//     31 bytes if a tool dropped a leading zero;
//   - PEM or DER, in SEC 1 or PKCS #8;
//   - a JWK (RFC 7517), or JSON with the halves as publicKey and privateKey;
//   - the output of "web-push generate-vapid-keys".
//
// public may be empty, since the private key determines it. Otherwise it is the point in one of these
// encodings, or PEM or DER, and must belong to the private key. Errors are *KeyError and contain nothing of
// the keys.
func ReadKeyPair(public string, private []byte) (*KeyPair, error) {
	if cleanKey(private) == "" {
		return nil, &KeyError{"private key", "is missing: the file is empty"}
	}
	var points []string
	if cleanKey([]byte(public)) != "" {
		point, err := readPublic(public)
		if err != nil {
			return nil, err
		}
		points = append(points, point)
	}
	named, key, err := readPrivate(private)
	if err != nil {
		return nil, err
	}
	if cleanKey([]byte(named)) != "" {
		point, err := readPublic(named)
		if err != nil {
			return nil, err
		}
		points = append(points, point)
	}
	pair, err := newKeyPair(key)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(points, func(point string) bool { return point != pair.public }) {
		return nil, &KeyError{"public key", "does not belong to the private key"}
	}
	return pair, nil
}

// readPrivate reads a private key, and the public one if the file has it.
func readPrivate(data []byte) (public string, key *ecdsa.PrivateKey, err error) {
	text := cleanKey(data)
	switch {
	case strings.HasPrefix(text, "{"):
		return readKeyJSON([]byte(text), maxKeyNesting)
	case strings.Contains(text, "-----BEGIN"):
		key, err = readPrivatePEM([]byte(text))
		return "", key, err
	}
	if key := privateDER(data); key != nil {
		return "", key, nil
	}
	if p, k := printedPair(text); k != "" {
		key, err = scalarKey(k)
		return p, key, err
	}
	key, err = scalarKey(text)
	return "", key, err
}

// cleanKey strips what editors, shells and files put around a key.
func cleanKey(data []byte) string {
	return strings.Trim(string(bytes.TrimPrefix(bytes.TrimSpace(data), []byte("\xef\xbb\xbf"))), " \t\r\n\"'`")
}

// readPrivatePEM returns the first private key of a PEM file; "EC PARAMETERS" may precede it.
func readPrivatePEM(data []byte) (*ecdsa.PrivateKey, error) {
	for {
		block, remaining := pem.Decode(data)
		if block == nil {
			return nil, &KeyError{"private key", "is not in the PEM file: a block PRIVATE KEY or EC PRIVATE KEY is missing or cut off"}
		}
		if strings.Contains(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "" {
			return nil, &KeyError{"private key", "is encrypted: decrypt it first, as by openssl pkey -in <file>"}
		}
		if key := privateDER(block.Bytes); key != nil {
			return key, nil
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return nil, &KeyError{"private key", "is not one of the curve P-256"}
		}
		data = remaining
	}
}

// privateDER reads SEC 1 or PKCS #8; nil if der is neither, or of another curve.
func privateDER(der []byte) *ecdsa.PrivateKey {
	key, err := x509.ParseECPrivateKey(der)
	if err != nil {
		any, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			return nil
		}
		key, _ = any.(*ecdsa.PrivateKey)
	}
	if key == nil || key.Curve != elliptic.P256() {
		return nil
	}
	return key
}

// keyNames are the possible members of a JSON file.
type keyNames struct {
	Public  string `json:"publicKey"`
	Public2 string `json:"public_key"`
	Public3 string `json:"public"`
	Public4 string `json:"vapidPublicKey"`
	Public5 string `json:"VAPID_PUBLIC_KEY"`

	Private  string `json:"privateKey"`
	Private2 string `json:"private_key"`
	Private3 string `json:"private"`
	Private4 string `json:"vapidPrivateKey"`
	Private5 string `json:"VAPID_PRIVATE_KEY"`

	// A JWK: the scalar.
	D     string `json:"d"`
	Curve string `json:"crv"`
}

func readKeyJSON(text []byte, depth int) (public string, key *ecdsa.PrivateKey, err error) {
	var n keyNames
	var members map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(text, &members), ignoreTypes(json.Unmarshal(text, &n))); err != nil {
		return "", nil, &KeyError{"private key", "is in a file that begins like JSON but is not JSON"}
	}
	if n.D != "" && n.Curve != "" && n.Curve != "P-256" {
		return "", nil, &KeyError{"private key", "is not one of the curve P-256"}
	}
	for _, s := range []string{n.Private, n.Private2, n.Private3, n.Private4, n.Private5, n.D} {
		if s == "" {
			continue
		}
		_, key, err := readPrivate([]byte(s))
		for _, p := range []string{n.Public, n.Public2, n.Public3, n.Public4, n.Public5} {
			if p != "" {
				public = p
			}
		}
		return public, key, err
	}
	for _, raw := range members {
		if depth > 0 && bytes.HasPrefix(raw, []byte("{")) {
			if public, key, err = readKeyJSON(raw, depth-1); err == nil {
				return public, key, nil
			}
		}
	}
	return "", nil, &KeyError{"private key", "is not in the JSON file: it is a member privateKey or private_key, or d of a JWK"}
}

// ignoreTypes ignores members of other types: they are not keys.
func ignoreTypes(err error) error {
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		return nil
	}
	return err
}

var (
	printedPrivate = regexp.MustCompile(`(?is)private[ _-]?key["']?\s*[:=]\s*["']?([A-Za-z0-9+/_=-]{40,})`)
	printedPublic  = regexp.MustCompile(`(?is)public[ _-]?key["']?\s*[:=]\s*["']?([A-Za-z0-9+/_=-]{80,})`)
)

// printedPair returns the halves from the output of tools and .env files; "" for missing ones.
func printedPair(text string) (public, private string) {
	if m := printedPrivate.FindStringSubmatch(text); m != nil {
		private = m[1]
	}
	if m := printedPublic.FindStringSubmatch(text); m != nil {
		public = m[1]
	}
	return public, private
}

// scalarKey reads a private key in encoded text: a scalar, or DER.
func scalarKey(text string) (*ecdsa.PrivateKey, error) {
	raw, ok := decodeAny(text, privateSize)
	if !ok {
		return nil, &KeyError{"private key", "is not a key: it is a scalar in base64url (43 characters), base64 or hex, or a file in PEM, DER or JSON"}
	}
	if key := privateDER(raw); key != nil {
		return key, nil
	}
	// Tools that use big integers drop a leading zero, or add one.
	scalar := raw
	switch {
	case len(raw) == privateSize-1:
		scalar = append([]byte{0}, raw...)
	case len(raw) == privateSize+1 && raw[0] == 0:
		scalar = raw[1:]
	case len(raw) != privateSize:
		return nil, &KeyError{"private key", fmt.Sprintf("is %d bytes, not %d: it is a scalar in base64url (43 characters), base64 or hex, or a file in PEM, DER or JSON", len(raw), privateSize)}
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil {
		return nil, &KeyError{"private key", "is not a P-256 private key"}
	}
	return key, nil
}

// readPublic returns the point of a public key in base64url.
func readPublic(text string) (string, error) {
	text = cleanKey([]byte(text))
	der := []byte(nil)
	if block, _ := pem.Decode([]byte(text)); block != nil {
		der = block.Bytes
	} else if raw, ok := decodeAny(text, P256DHSize); ok {
		if point, err := ecdh.P256().NewPublicKey(raw); err == nil {
			return base64.RawURLEncoding.EncodeToString(point.Bytes()), nil
		}
		der = raw
	}
	if any, err := x509.ParsePKIXPublicKey(der); err == nil {
		if key, ok := any.(*ecdsa.PublicKey); ok && key.Curve == elliptic.P256() {
			if point, err := key.Bytes(); err == nil {
				return base64.RawURLEncoding.EncodeToString(point), nil
			}
		}
	}
	return "", &KeyError{"public key", "is not a P-256 public key: it is an uncompressed point in base64url (87 characters), or PEM"}
}

// decodeAny decodes hex if the text has exactly the length of size bytes in hex, else base64url or base64,
// with or without padding and line ends.
func decodeAny(text string, size int) ([]byte, bool) {
	text = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n", r) {
			return -1
		}
		return r
	}, text)
	if len(text) == 2*size {
		if raw, err := hex.DecodeString(text); err == nil {
			return raw, true
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "=")))
	return raw, err == nil
}
