package etf

import (
	"strconv"
	"strings"
)

func appendList(dst []byte, list []any, depth int) ([]byte, error) {
	if depth >= MaxDepth {
		return dst, errDepth()
	}
	if len(list) == 0 {
		return AppendNil(dst), nil
	}
	dst, err := AppendList(dst, len(list))
	if err != nil {
		return dst, err
	}
	dst, err = appendElements(dst, list, depth+1)
	return AppendNil(dst), err
}

func appendTuple(dst []byte, tuple Tuple, depth int) ([]byte, error) {
	if depth >= MaxDepth {
		return dst, errDepth()
	}
	dst, err := AppendTuple(dst, len(tuple))
	if err != nil {
		return dst, err
	}
	return appendElements(dst, tuple, depth+1)
}

func appendElements(dst []byte, elements []any, depth int) ([]byte, error) {
	var err error
	for i, e := range elements {
		if dst, err = appendAny(dst, e, depth); err != nil {
			return dst, At(index(i), err)
		}
	}
	return dst, nil
}

func appendMap(dst []byte, m map[string]any, depth int) ([]byte, error) {
	if depth >= MaxDepth {
		return dst, errDepth()
	}
	dst, err := AppendMap(dst, len(m))
	if err != nil {
		return dst, err
	}
	for k, v := range m {
		if dst, err = AppendString(dst, k); err != nil {
			return dst, err
		}
		if dst, err = appendAny(dst, v, depth+1); err != nil {
			return dst, At(`["`+shorten(k)+`"]`, err)
		}
	}
	return dst, nil
}

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

// shorten makes a key fit for an error message of one line: escaped, and cut when it is long.
func shorten(key string) string {
	const limit = 40
	cut := ""
	if len(key) > limit {
		key, cut = strings.ToValidUTF8(key[:limit], ""), "..."
	}
	quoted := strconv.Quote(key)
	return quoted[1:len(quoted)-1] + cut
}
