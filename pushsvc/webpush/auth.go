package webpush

// ParseAuth reads an authentication secret alone, 16 bytes in base64url with
// or without padding, as it proves that somebody holds a subscription. The
// error is a *KeyError.
func ParseAuth(auth string) ([AuthSize]byte, error) {
	raw, err := decodeKey("auth", auth, AuthSize)
	if err != nil {
		return [AuthSize]byte{}, err
	}
	return [AuthSize]byte(raw), nil
}
