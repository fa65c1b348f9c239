package pushservice

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// maxTokenLife is the furthest that a VAPID token's exp may lie ahead
// (RFC 8292 section 2).
const maxTokenLife = 24 * time.Hour

// VAPID is a verified "vapid" Authorization header (RFC 8292 section 3).
type VAPID struct {
	Key      string    // k: public key, base64url without padding, 87 characters
	Audience string    // aud
	Subject  string    // sub, or "": RFC 8292 section 2.1 makes it optional
	Expires  time.Time // exp
	// Token is the JWT as sent, so that a test can see whether a sender re-uses
	// its tokens, as RFC 8292 section 5 advises.
	Token string
}

// VerifyVAPID checks an Authorization header as a push service does: scheme
// vapid, ES256 signature by k, aud equal to audience (the origin of the push
// resource, "https://host"), exp in the future but at most 24 hours, sub (where
// present) a mailto: or https: URI.
func VerifyVAPID(header, audience string, now time.Time) (VAPID, error) {
	token, key, err := splitAuthorization(header)
	if err != nil {
		return VAPID{}, err
	}
	public, err := parsePublicKey(key)
	if err != nil {
		return VAPID{}, err
	}
	payload, err := verifyToken(token, public)
	if err != nil {
		return VAPID{}, err
	}
	v, err := checkClaims(payload, audience, now)
	if err != nil {
		return VAPID{}, err
	}
	v.Key, v.Token = key, token
	return v, nil
}

func splitAuthorization(header string) (token, key string, err error) {
	scheme, params, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "vapid") {
		return "", "", fmt.Errorf("authorization scheme is %q, not vapid", scheme)
	}
	for param := range strings.SplitSeq(params, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(param), "=")
		if !ok {
			return "", "", fmt.Errorf("malformed parameter %q", param)
		}
		switch strings.ToLower(name) {
		case "t":
			token = value
		case "k":
			key = value
		}
	}
	if token == "" || key == "" {
		return "", "", errors.New("parameter t or k is missing")
	}
	return token, key, nil
}

// parsePublicKey reads an uncompressed P-256 point in base64url.
func parsePublicKey(key string) (*ecdsa.PublicKey, error) {
	raw, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil {
		return nil, fmt.Errorf("k is not base64url without padding: %w", err)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw)
	if err != nil {
		return nil, fmt.Errorf("k is not a P-256 point: %w", err)
	}
	return public, nil
}

// verifyToken checks the JWT's form and signature and returns its claims.
func verifyToken(token string, public *ecdsa.PublicKey) ([]byte, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("JWT has %d parts instead of 3", len(parts))
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return nil, fmt.Errorf("JWT part %d is not base64url: %w", i, err)
		}
	}
	var head struct {
		Alg string `json:"alg"`
		Typ string `json:"typ"`
	}
	if err := json.Unmarshal(decoded[0], &head); err != nil {
		return nil, fmt.Errorf("JWT header: %w", err)
	}
	if head.Alg != "ES256" {
		return nil, fmt.Errorf("JWT alg is %q, not ES256", head.Alg)
	}
	if head.Typ != "" && !strings.EqualFold(head.Typ, "JWT") {
		return nil, fmt.Errorf("JWT typ is %q", head.Typ)
	}
	// RFC 7518 section 3.4: the two numbers side by side, not ASN.1.
	signature := decoded[2]
	if len(signature) != 64 {
		return nil, fmt.Errorf("JWT signature has %d bytes instead of 64", len(signature))
	}
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if !ecdsa.Verify(public, sum[:], r, s) {
		return nil, errors.New("JWT signature does not verify")
	}
	return decoded[1], nil
}

func checkClaims(payload []byte, audience string, now time.Time) (VAPID, error) {
	var claims struct {
		Aud string  `json:"aud"`
		Exp float64 `json:"exp"`
		Sub *string `json:"sub"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return VAPID{}, fmt.Errorf("JWT claims: %w", err)
	}
	if claims.Aud != audience {
		return VAPID{}, fmt.Errorf("aud is %q, not %q", claims.Aud, audience)
	}
	left := claims.Exp - float64(now.Unix())
	if left <= 0 || left > maxTokenLife.Seconds() {
		return VAPID{}, fmt.Errorf("exp lies %.0f s ahead, must be in 0 to 86400", left)
	}
	v := VAPID{Audience: claims.Aud, Expires: time.Unix(int64(claims.Exp), 0)}
	if claims.Sub != nil {
		if v.Subject = *claims.Sub; !isContact(v.Subject) {
			return VAPID{}, fmt.Errorf("sub %q is neither a mailto nor an https URI", v.Subject)
		}
	}
	return v, nil
}

func isContact(sub string) bool {
	for _, scheme := range []string{"mailto:", "https://"} {
		if len(sub) > len(scheme) && strings.EqualFold(sub[:len(scheme)], scheme) {
			return true
		}
	}
	return false
}
