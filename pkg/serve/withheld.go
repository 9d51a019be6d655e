package serve

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"syscall"
)

// withheldEnd is how many bytes of a blob go last, on their own.
const withheldEnd = 4 << 10

// errChanged is wrapped where a file is not any more what was hashed.
var errChanged = errors.New("it changed while it was sent")

// withheld is an answer that a file goes into which was hashed before. The file
// may be written to meanwhile, and its bytes do not pass through here: so its end
// is held back until it is known to be the same file still.
type withheld struct {
	http.ResponseWriter
	same func() error // tells what changed
	lost func(error)  // is told what went wrong, unless that is the client's doing
}

// Unwrap is for http.ResponseController.
func (w *withheld) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ReadFrom implements io.ReaderFrom. What it is given by http.ServeContent is a
// file and how many bytes of it to send.
func (w *withheld) ReadFrom(from io.Reader) (int64, error) {
	all, limited := from.(*io.LimitedReader)
	if !limited {
		return 0, errors.ErrUnsupported
	}
	end := min(all.N, withheldEnd)
	all.N -= end
	sent, err := io.Copy(w.ResponseWriter, all)
	if err != nil && !ofFile(err) {
		return sent, err
	}
	if err == nil && all.N > 0 {
		err = io.ErrUnexpectedEOF
	}
	last := make([]byte, end)
	if err == nil {
		_, err = io.ReadFull(all.R, last)
	}
	if err == nil {
		err = w.same()
	}
	if err != nil {
		w.lost(err)
		panic(http.ErrAbortHandler)
	}
	n, err := w.ResponseWriter.Write(last)
	return sent + int64(n), err
}

// ofFile tells errors of reading a file from those of sending it, which are the
// client's doing: sendfile does both in one call.
func ofFile(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ESTALE)
}
