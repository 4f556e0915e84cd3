package pan

import (
	"bytes"
	"database/sql/driver"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"log"
	"log/slog"
	"strings"
	"testing"
	texttemplate "text/template"
)

const (
	// Its nine hidden digits are too many to turn up in a printed address.
	leakNumber = "4111119573519374441"
	leakMask   = "411111*********4441"
	leakSecret = "zyxwvut-quokka"
)

// open and shut hold the values as other packages would: in exported fields,
// where fmt may call methods, and in unexported ones, where it may not.
type open struct {
	Number  Number
	Secret  Secret
	Numbers []Number
	Secrets map[string]Secret
	Any     any
}

type shut struct {
	number  Number
	secret  Secret
	numbers []Number
	secrets map[string]Secret
	inner   *shut
	any     any
}

// holders returns everything that could be handed to a printer.
func holders() map[string]any {
	number, secret := newNumber(leakNumber), NewSecret(leakSecret)
	numbers, secrets := []Number{number}, map[string]Secret{"key": secret}
	inner := &shut{number: number, secret: secret, any: number}
	return map[string]any{
		"number": number, "secret": secret, "*number": &number, "*secret": &secret,
		"numbers": numbers, "secrets": secrets, "array": [1]Secret{secret},
		"open": open{number, secret, numbers, secrets, secret}, "*open": &open{Number: number, Secret: secret, Any: &number},
		"shut": shut{number, secret, numbers, secrets, inner, secret}, "*shut": inner,
		"error": fmt.Errorf("card %v: %w: %s", number, errors.ErrUnsupported, secret),
	}
}

// forbidden is every form in which the hidden text could show.
func forbidden() map[string]string {
	list := map[string]string{}
	for name, text := range map[string]string{"number": leakNumber[6:15], "secret": leakSecret} {
		list[name+" text"] = text
		list[name+" hex"] = hex.EncodeToString([]byte(text))
		list[name+" base64"] = base64.StdEncoding.EncodeToString([]byte(text))[:8]
		list[name+" spaced hex"] = fmt.Sprintf("% x", text)
		list[name+" prefixed hex"] = strings.ReplaceAll(fmt.Sprintf("%# x", text), " ", ", ")
		list[name+" bytes"] = strings.Trim(fmt.Sprint([]byte(text)), "[]")
		list[name+" runes"] = strings.Trim(fmt.Sprintf("%c", []byte(text)), "[]")
	}
	list["part of the secret"] = "quok"
	return list
}

func checkLeak(t *testing.T, where, output string) {
	t.Helper()
	for form, text := range forbidden() {
		if strings.Contains(strings.ToLower(output), strings.ToLower(text)) {
			t.Errorf("%s leaks the %s: %s", where, form, output)
		}
	}
}

// The check itself sees each form, so that the tests below can fail.
func TestForbiddenForms(t *testing.T) {
	for form, output := range map[string]string{
		"number text": leakNumber, "number hex": fmt.Sprintf("%x", leakNumber), "number bytes": fmt.Sprint([]byte(leakNumber)),
		"secret text": fmt.Sprintf("%q", leakSecret), "secret hex": fmt.Sprintf("%X", leakSecret),
		"secret spaced hex": fmt.Sprintf("% X", leakSecret), "secret prefixed hex": fmt.Sprintf("%#v", []byte(leakSecret)),
	} {
		if !strings.Contains(strings.ToLower(output), strings.ToLower(forbidden()[form])) {
			t.Errorf("%s is not seen in %s", form, output)
		}
	}
}

// No verb, flag, width or holder makes fmt print what is hidden.
func TestFmtNeverLeaks(t *testing.T) {
	for name, value := range holders() {
		for verb := 'A'; verb <= 'z'; verb++ {
			for _, flags := range []string{"", "+", "#", " ", "-", "0", "+#", "40", "-40", ".30", "040.30"} {
				format := "%" + flags + string(verb)
				checkLeak(t, name+" "+format, fmt.Sprintf(format, value))
				checkLeak(t, name+" "+format+" in an error", fmt.Errorf(format, value).Error())
			}
		}
		checkLeak(t, name+" printed", fmt.Sprint(value)+fmt.Sprintln(value)+string(fmt.Append(nil, value)))
		for _, wrong := range []string{"no verb", "%[2]v", "%*d", "%.*f", "%"} {
			checkLeak(t, name+" as "+wrong, fmt.Sprintf(wrong, value))
		}
	}
}

// Every verb that calls methods prints exactly the mask.
func TestFmtPrintsTheMask(t *testing.T) {
	for _, verb := range "vsqxXdbocUeEfFgGtz" {
		for _, flags := range []string{"", "+", "#", " ", "40"} {
			format := "%" + flags + string(verb)
			if got := fmt.Sprintf(format, newNumber(leakNumber)); got != leakMask {
				t.Errorf("%s prints %q, want %q", format, got, leakMask)
			}
			if got := fmt.Sprintf(format, NewSecret(leakSecret)); got != redacted {
				t.Errorf("%s prints %q, want %q", format, got, redacted)
			}
		}
	}
	number, secret := newNumber(leakNumber), NewSecret(leakSecret)
	for _, got := range []string{number.String(), number.GoString(), number.Mask(), number.LogValue().String()} {
		if got != leakMask {
			t.Errorf("mask %q, want %q", got, leakMask)
		}
	}
	for _, got := range []string{secret.String(), secret.GoString(), secret.LogValue().String()} {
		if got != redacted {
			t.Errorf("mask %q, want %q", got, redacted)
		}
	}
}

// Neither slog handler leaks, whatever way the value comes in.
func TestSlogNeverLeaks(t *testing.T) {
	var output bytes.Buffer
	for _, handler := range []slog.Handler{
		slog.NewTextHandler(&output, &slog.HandlerOptions{AddSource: true}),
		slog.NewJSONHandler(&output, nil),
	} {
		logger := slog.New(handler)
		for name, value := range holders() {
			output.Reset()
			logger.Info("plain", "value", value, slog.Any("any", value), slog.Group("group", "value", value))
			logger.With("value", value).WithGroup("group").Info("attached", "list", []any{value})
			logger.Info("odd", value)
			if output.Len() == 0 {
				t.Errorf("%s: nothing was logged", name)
			}
			checkLeak(t, fmt.Sprintf("%T of %s", handler, name), output.String())
		}
		output.Reset()
		logger.Info("card", "number", newNumber(leakNumber), "pin", NewSecret(leakSecret))
		if got := output.String(); !strings.Contains(got, leakMask) || !strings.Contains(got, redacted) {
			t.Errorf("%T logs %s", handler, got)
		}
	}
	output.Reset()
	for _, value := range holders() {
		log.New(&output, "", 0).Printf("%v %+v", value, value)
	}
	checkLeak(t, "log", output.String())
}

// The encoders of the standard library print the mask, or refuse.
func TestEncodersNeverLeak(t *testing.T) {
	for name, value := range holders() {
		encoded, err := json.MarshalIndent(value, "", " ")
		checkLeak(t, "json of "+name, fmt.Sprint(string(encoded), err))
		encoded, err = xml.Marshal(value)
		checkLeak(t, "xml of "+name, fmt.Sprint(string(encoded), err))
		var output bytes.Buffer
		err = gob.NewEncoder(&output).Encode(value)
		checkLeak(t, "gob of "+name, fmt.Sprint(output.String(), err))
		output.Reset()
		err = texttemplate.Must(texttemplate.New("").Parse(`{{.}} {{printf "%s %q %x" . . .}}`)).Execute(&output, value)
		checkLeak(t, "text template of "+name, fmt.Sprint(output.String(), err))
		output.Reset()
		page := `<p title="{{.}}">{{.}}</p><script>let v = {{.}}</script><a href="/?q={{.}}">`
		err = template.Must(template.New("").Parse(page)).Execute(&output, value)
		checkLeak(t, "html template of "+name, fmt.Sprint(output.String(), err))
	}
	encoded, err := json.Marshal(open{Number: newNumber(leakNumber), Secret: NewSecret(leakSecret)})
	want := `{"Number":"` + leakMask + `","Secret":"[redacted]","Numbers":null,"Secrets":null,"Any":null}`
	if err != nil || string(encoded) != want {
		t.Errorf("json: %s, %v; want %s", encoded, err, want)
	}
}

// A database driver is handed neither the text nor the mask: to store a number
// or a secret takes Reveal, and sealing.
func TestDatabaseRefuses(t *testing.T) {
	for name, value := range holders() {
		stored, err := driver.DefaultParameterConverter.ConvertValue(value)
		if err == nil {
			t.Errorf("%s is stored as %v", name, stored)
			continue
		}
		checkLeak(t, "database error of "+name, err.Error())
	}
}

// A panic that carries a value prints no more than fmt does.
func TestPanicNeverLeaks(t *testing.T) {
	for name, value := range holders() {
		func() {
			defer func() { checkLeak(t, "panic with "+name, fmt.Sprint(recover())) }()
			panic(value)
		}()
	}
}

// No error of the package holds any of its input.
func TestErrorsNeverLeak(t *testing.T) {
	long := strings.Repeat(leakNumber, 5)
	_, digits := Parse(leakNumber + "x")
	_, length := Parse(long)
	_, alnum := ParseAlnum(leakSecret + ".")
	_, check := CheckDigit(leakNumber + "x")
	_, prefix := Generate(strings.NewReader(long), "41111195735193744x", 19)
	_, letters := GenerateAlnum(strings.NewReader(long), leakSecret, 16)
	_, random := GenerateAlnum(strings.NewReader(leakNumber[:4]), "GC", 16)
	var secret Secret
	unmarshal := json.Unmarshal([]byte(leakNumber), &secret)
	tooLong := secret.UnmarshalText([]byte(strings.Repeat(leakSecret, MaxSecret)))
	for i, err := range []error{digits, length, alnum, check, prefix, letters, random, unmarshal, tooLong} {
		if err == nil {
			t.Errorf("error %d did not happen", i)
			continue
		}
		checkLeak(t, fmt.Sprintf("error %d", i), fmt.Sprintf("%v %+v %#v", err, err, err))
	}
}
