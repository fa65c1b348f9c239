package webpush

// ParseAuth parses an authentication secret, 16 bytes in base64url with or without padding, which proves that
// the caller holds a subscription. The error is a *KeyError.
func ParseAuth(auth string) ([AuthSize]byte, error) {
	raw, err := decodeKey("auth", auth, AuthSize)
	if err != nil {
		return [AuthSize]byte{}, err
	}
	return [AuthSize]byte(raw), nil
}
