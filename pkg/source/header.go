package source

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// The headers of a tar are those of POSIX.1-1988 (ustar), of POSIX.1-2001 (pax)
// and of GNU tar, as "Basic Tar Format" in GNU tar's manual describes them, and
// those of version 7 before them.

// header is what the blocks before a member say of it.
type header struct {
	flag   byte // the type
	name   string
	target string // of links
	size   int64  // bytes that follow; of a sparse file, fewer than it has
	perm   uint16
	mtime  int64 // Unix time, nanoseconds
	sparse bool
	more   bool  // the map of a sparse file goes on in the next block
	at     int64 // where its first block is
}

var (
	errChecksum = errors.New("a header with a wrong checksum")
	errNumber   = errors.New("a header with a number that is none")
)

// field is where a header block has something.
type field struct{ at, size int }

var (
	nameField     = field{0, 100}
	modeField     = field{100, 8}
	sizeField     = field{124, 12}
	timeField     = field{136, 12}
	checksumField = field{148, 8}
	flagAt        = 156
	targetField   = field{157, 100}
	magicField    = field{257, 6}
	prefixField   = field{345, 155}
	starField     = field{508, 4}
	moreAt        = 482 // in GNU's headers of sparse files
	moreAgainAt   = 504 // in the blocks that their maps go on in
)

func (f field) of(b *[blockSize]byte) []byte { return b[f.at : f.at+f.size] }

// text is what a field says up to the first NUL.
func (f field) text(b *[blockSize]byte) string {
	s, _, _ := bytes.Cut(f.of(b), []byte{0})
	return string(s)
}

// isHeader tells whether a block's checksum is right: the sum of its bytes, with
// blanks for those of the checksum itself. Old programs added the bytes up with
// their signs.
func isHeader(b *[blockSize]byte) bool {
	field := checksumField.of(b)
	stated, ok := number(field)
	if !ok {
		return false
	}
	blanks := int64(len(field)) * ' '
	if stated == sum(b[:])-sum(field)+blanks {
		return true
	}
	return stated == signedSum(b[:])-signedSum(field)+blanks
}

func sum(b []byte) (n int64) {
	for _, c := range b {
		n += int64(c)
	}
	return n
}

func signedSum(b []byte) (n int64) {
	for _, c := range b {
		n += int64(int8(c))
	}
	return n
}

// isUstar tells headers that say what they are from those of version 7.
func isUstar(b *[blockSize]byte) bool {
	return bytes.HasPrefix(magicField.of(b), []byte("ustar"))
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// parseHeader reads a block. Only what has to be right for the rest to be read
// is an error.
func parseHeader(b *[blockSize]byte) (h header, err error) {
	if !isHeader(b) {
		return h, errChecksum
	}
	size, ok := number(sizeField.of(b))
	if !ok || size < 0 {
		return h, errNumber
	}
	perm, _ := number(modeField.of(b))
	seconds, _ := number(timeField.of(b))
	h = header{
		flag: b[flagAt], name: nameField.text(b), target: targetField.text(b),
		size: size, perm: uint16(perm & 0o7777), mtime: nanoseconds(seconds, 0),
	}
	if string(magicField.of(b)) == "ustar\x00" {
		prefix := prefixField
		if string(starField.of(b)) == "tar\x00" {
			prefix.size = 131 // star keeps times behind it
		}
		if p := prefix.text(b); p != "" {
			h.name = p + "/" + h.name
		}
	}
	if h.flag == 'S' {
		h.sparse, h.more = true, b[moreAt] != 0
	}
	return h, nil
}

// number reads a field of octal digits, or one in base 256, which has the first
// bit set and is a two's complement without it.
func number(b []byte) (int64, bool) {
	if b[0]&0x80 != 0 {
		return base256(b)
	}
	n := int64(0)
	for _, c := range bytes.Trim(b, " \x00") {
		if c < '0' || c > '7' || n > math.MaxInt64>>3 {
			return 0, false
		}
		n = n<<3 | int64(c-'0')
	}
	return n, true
}

func base256(b []byte) (int64, bool) {
	negative := b[0]&0x40 != 0
	n := uint64(0)
	for i, c := range b {
		if negative {
			c = ^c
		}
		if i == 0 {
			c &= 0x7f
		}
		if n >= 1<<55 {
			return 0, false
		}
		n = n<<8 | uint64(c)
	}
	if negative {
		return -int64(n) - 1, true
	}
	return int64(n), true
}

// nanoseconds is a time that is as good as it can be said in 64 bits: from 1677
// to 2262.
func nanoseconds(seconds, nanos int64) int64 {
	const most = math.MaxInt64/int64(time.Second) - 1
	return min(max(seconds, -most), most)*int64(time.Second) + nanos
}

// record is one of a pax header: "length key=value\n", the length in decimal and
// counting all of it.
type record struct{ key, value string }

var errRecords = errors.New("an extended header that is none")

// parseRecords takes a pax header apart.
func parseRecords(text string) (records []record, err error) {
	for text != "" {
		digits, rest, ok := strings.Cut(text, " ")
		length, err := strconv.ParseUint(digits, 10, 31)
		head := len(digits) + 1
		if !ok || err != nil || int(length) <= head || int(length)-head > len(rest) {
			return nil, errRecords
		}
		line, ended := strings.CutSuffix(rest[:int(length)-head], "\n")
		key, value, ok := strings.Cut(line, "=")
		if !ok || !ended || key == "" {
			return nil, errRecords
		}
		records = append(records, record{key, value})
		text = rest[int(length)-head:]
	}
	return records, nil
}

// apply lets a pax header's records win over what the block says.
func (h *header) apply(records []record) error {
	for _, r := range records {
		if strings.HasPrefix(r.key, "GNU.sparse.") {
			h.sparse = true // and has a name of its own: see readSparse
		}
		if r.value == "" {
			continue
		}
		switch r.key {
		case "path":
			h.name = r.value
		case "linkpath":
			h.target = r.value
		case "size":
			size, err := strconv.ParseUint(r.value, 10, 63)
			if err != nil {
				return errNumber
			}
			h.size = int64(size)
		case "mtime":
			if t, ok := parseTime(r.value); ok {
				h.mtime = t
			}
		}
	}
	return nil
}

// parseTime reads decimal seconds, with a fraction that may have any length.
func parseTime(s string) (int64, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return 0, false
	}
	fraction = (fraction + "000000000")[:9]
	nanos, err := strconv.ParseUint(fraction, 10, 32)
	if err != nil {
		return 0, false
	}
	if strings.HasPrefix(whole, "-") {
		return nanoseconds(seconds, -int64(nanos)), true
	}
	return nanoseconds(seconds, int64(nanos)), true
}
