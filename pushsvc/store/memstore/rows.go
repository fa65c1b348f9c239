package memstore

import (
	"cmp"
	"maps"
	"reflect"
	"slices"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// set is m[key] = value, where the map may be nil.
func set[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[key] = value
}

// find returns a row; pushsvc.ErrNotFound.
func find[K comparable, V any](m map[K]V, key K) (V, error) {
	row, ok := m[key]
	if !ok {
		return row, pushsvc.ErrNotFound
	}
	return row, nil
}

// drop removes rows, if they are there.
func drop[K comparable, V any](m map[K]V, keys []K) {
	for _, key := range keys {
		delete(m, key)
	}
}

// keys returns the keys of a map in rising order.
func keys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// rows returns what pick makes of the rows that it picks, by rising key.
func rows[K cmp.Ordered, V, T any](m map[K]V, pick func(K, V) (T, bool)) (all []T) {
	for _, key := range keys(m) {
		if row, ok := pick(key, m[key]); ok {
			all = append(all, row)
		}
	}
	return all
}

// all picks all rows.
func all[K, V any](_ K, row V) (V, bool) { return row, true }

// first returns at most limit of the rows.
func first[T any](limit int, rows []T) []T { return rows[:min(max(limit, 0), len(rows))] }

// copyOf returns a deep copy, as far as fields are exported.
func copyOf[T any](v T) T { return copyValue(reflect.ValueOf(v)).Interface().(T) }

func copyValue(v reflect.Value) reflect.Value {
	if v.IsZero() {
		return v
	}
	switch v.Kind() {
	case reflect.Struct:
		out := reflect.New(v.Type()).Elem()
		out.Set(v)
		for i := range v.NumField() {
			if field := out.Field(i); field.CanSet() {
				field.Set(copyValue(field))
			}
		}
		return out
	case reflect.Pointer:
		out := reflect.New(v.Type().Elem())
		out.Elem().Set(copyValue(v.Elem()))
		return out
	case reflect.Interface:
		return copyValue(v.Elem())
	case reflect.Slice:
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(copyValue(v.Index(i)))
		}
		return out
	case reflect.Map:
		out := reflect.MakeMapWithSize(v.Type(), v.Len())
		for key, value := range v.Seq2() {
			out.SetMapIndex(key, copyValue(value))
		}
		return out
	}
	return v // nothing in it can be changed
}
