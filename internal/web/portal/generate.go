package portal

//go:generate go run -C ../../../scripts/tools github.com/a-h/templ/cmd/templ generate -path ../../internal/web/portal
