package harbortest

import (
	"sync"

	"github.com/sirupsen/logrus"
)

// distribution logs through logrus's global logger and can be given no other
// one from outside. It marks its entries with this field.
const distributionField = "go.version"

// silence drops distribution's log entries and leaves those of everyone else
// who uses the global logger, such as containers/image.
var silence = sync.OnceFunc(func() {
	logger := logrus.StandardLogger()
	logger.SetFormatter(quiet{logger.Formatter})
})

type quiet struct{ logrus.Formatter }

func (q quiet) Format(e *logrus.Entry) ([]byte, error) {
	if _, ok := e.Data[distributionField]; ok {
		return nil, nil
	}
	return q.Formatter.Format(e)
}
