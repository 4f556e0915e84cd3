package portal

import (
	"slices"
	"strings"
)

// language is everything that depends on the language of a page.
type language struct {
	code string // for lang attributes
	name string // in itself
	numerals
	months                []string
	monthForm, momentForm string
	second                string // "1 second"
	seconds, minutes      string // after a number
	texts
}

// texts are the words of the page. In braces stands what is filled in.
type texts struct {
	SkipLink, LanguageLabel, ErrorPrefix                string
	Title, Intro, NetworkLabel, NetworkChoose, Down     string
	NumberLabel, NumberHint, PINLabel, PINHint          string
	PINNeeded, PINOptional, PINAgain                    string
	Submit, Working, Privacy                            string
	PrivacyLink, SupportLink, Opens                     string
	ErrorTitle, ErrorNetwork, ErrorNumber, ErrorPIN     string
	ErrorNumberForm                                     string
	ResultTitle, BalanceLabel, ExpiresIn, CardLabel     string
	AsOf, Active, Again, TryAgain                       string
	ExpiredTitle, ExpiredText, ExpiredIn                string
	InactiveTitle, InactiveText                         string
	InvalidTitle, InvalidText                           string
	UnavailableTitle, UnavailableText, NoNetworksText   string
	LimitedTitle, LimitedText                           string
	ChallengeTitle, ChallengeText, ChallengeWait        string
	Captcha, CaptchaScript                              string
	ForbiddenTitle, ForbiddenText                       string
	UnknownTitle, UnknownText                           string
	InternalTitle, InternalText, Reference, TestingNote string
}

// languageOf returns a language by its code; English for one that is unknown.
func languageOf(code string) *language {
	for _, make := range []func() *language{french, spanish} {
		if l := make(); l.code == code {
			return l
		}
	}
	return english()
}

// pick returns the code of the language for a page: the one asked for, else the best
// of an Accept-Language header (RFC 9110, section 12.5.4), else the first offered.
func pick(offered []string, asked, accept string) string {
	if slices.Contains(offered, asked) {
		return asked
	}
	best, bestWeight := offered[0], 0
	for entry := range strings.SplitSeq(accept[:min(len(accept), maxAccept)], ",") {
		tag, parameter, _ := strings.Cut(strings.TrimSpace(entry), ";")
		primary, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		if weight := weightOf(parameter); weight > bestWeight && slices.Contains(offered, primary) {
			best, bestWeight = primary, weight
		}
	}
	return best
}

const maxAccept = 512

// weightOf returns thousandths of a "q=0.8"; 1000 without one, 0 for what is malformed.
func weightOf(parameter string) int {
	text, found := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(parameter), " ", ""), "q=")
	if !found {
		return 1000
	}
	whole, fraction, _ := strings.Cut(text, ".")
	if whole == "1" {
		return 1000
	}
	weight := 0
	if whole != "0" || len(fraction) > 3 {
		return 0
	}
	for _, digit := range (fraction + "000")[:3] {
		if digit < '0' || digit > '9' {
			return 0
		}
		weight = weight*10 + int(digit-'0')
	}
	return weight
}

func english() *language {
	return &language{
		code: "en", name: "English",
		numerals: numerals{point: ".", group: ",", least: 4, before: true, symbols: map[string]string{
			"USD": "$", "EUR": "€", "GBP": "£", "CAD": "CA$", "MXN": "MX$", "AUD": "A$", "NZD": "NZ$", "BRL": "R$",
			"JPY": "¥", "CNY": "CN¥", "INR": "₹", "KRW": "₩", "HKD": "HK$", "TWD": "NT$", "ILS": "₪", "VND": "₫",
		}},
		months: []string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
			"November", "December"},
		monthForm: "{month} {year}", momentForm: "{day} {month} {year}, {time} UTC",
		second: "1" + noBreak + "second", seconds: "seconds", minutes: "minutes",
		texts: texts{
			SkipLink: "Skip to the content", LanguageLabel: "Language", ErrorPrefix: "Error:",
			Title: "Check your balance", Intro: "Enter the details on your card to see what is left on it.",
			NetworkLabel: "Type of card", NetworkChoose: "Choose your card", Down: "unavailable right now",
			NumberLabel: "Card number", NumberHint: "You find it on the card. Spaces and dashes do not matter.",
			PINLabel: "PIN", PINHint: "Often on the back, below a strip that you scratch off.",
			PINNeeded: "{names} cards need it.", PINOptional: "(if your card has one)", PINAgain: "Enter your PIN once more. It is not kept.",
			Submit: "Check balance", Working: "One moment: making sure that no machine is asking…",
			Privacy:     "Your number and PIN are used for this check only. They are not stored.",
			PrivacyLink: "Privacy", SupportLink: "Help", Opens: "(opens another site)",
			ErrorTitle: "There is a problem", ErrorNetwork: "Choose the type of your card", ErrorNumber: "Enter the card number",
			ErrorPIN: "Enter the PIN of your card", ErrorNumberForm: "Enter a card number that belongs to this type of card",
			ResultTitle: "Your balance", BalanceLabel: "Available balance", ExpiresIn: "Expires in", CardLabel: "Card",
			AsOf: "As of", Active: "Active", Again: "Check another card", TryAgain: "Try again",
			ExpiredTitle: "This card has expired", ExpiredText: "It can no longer be spent.", ExpiredIn: "Expired in",
			InactiveTitle: "This card is not active", InactiveText: "It has to be activated before it can be spent. This usually happens at the till when it is bought.",
			InvalidTitle:     "We could not confirm this card",
			InvalidText:      "Check the type of card, the number and the PIN, and try again. After several wrong PINs a card is locked for a while.",
			UnavailableTitle: "The balance is unavailable right now", UnavailableText: "We could not ask for it. Nothing is wrong with your card. Try again in a few minutes.",
			NoNetworksText: "No cards can be checked here at the moment. Try again later.",
			LimitedTitle:   "Too many checks", LimitedText: "There were too many checks from your connection. Try again in {wait}.",
			ChallengeTitle: "One more step", ChallengeText: "There is a lot of traffic, so we make sure that no machine is asking. Press the button again.",
			ChallengeWait: "Without JavaScript, wait {wait} before you press it.",
			Captcha:       "Show here that you are no machine, then press the button.", CaptchaScript: "This needs JavaScript. Switch it on and open the page again.",
			ForbiddenTitle: "This form cannot be used", ForbiddenText: "It was sent from another site, or your browser is too old. Open this page itself and try again.",
			UnknownTitle: "There is nothing here", UnknownText: "Check the address. The page may have been moved or switched off.",
			InternalTitle: "Something went wrong", InternalText: "This is our mistake. Try again in a few minutes.", Reference: "Reference",
			TestingNote: "This page is for testing. Real cards cannot be checked here.",
		},
	}
}

func french() *language {
	return &language{
		code: "fr", name: "Français",
		numerals: numerals{point: ",", group: narrowBreak, least: 4, symbols: map[string]string{
			"USD": "$US", "EUR": "€", "GBP": "£GB", "CAD": "$CA", "MXN": "$MX", "AUD": "$AU", "NZD": "$NZ", "BRL": "R$",
			"INR": "₹", "KRW": "₩", "ILS": "₪", "VND": "₫",
		}},
		months: []string{"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre",
			"novembre", "décembre"},
		monthForm: "{month} {year}", momentForm: "{day} {month} {year} à {time} UTC",
		second: "1" + noBreak + "seconde", seconds: "secondes", minutes: "minutes",
		texts: texts{
			SkipLink: "Aller au contenu", LanguageLabel: "Langue", ErrorPrefix: "Erreur" + noBreak + ":",
			Title: "Consultez votre solde", Intro: "Saisissez les informations de votre carte pour connaître son solde.",
			NetworkLabel: "Type de carte", NetworkChoose: "Choisissez votre carte", Down: "indisponible actuellement",
			NumberLabel: "Numéro de carte", NumberHint: "Il figure sur la carte. Les espaces et les tirets sont sans importance.",
			PINLabel: "Code PIN", PINHint: "Souvent au dos, sous une bande à gratter.",
			PINNeeded: "Il est nécessaire pour" + noBreak + ": {names}.", PINOptional: "(si votre carte en a un)", PINAgain: "Saisissez votre code PIN une nouvelle fois. Il n’est pas conservé.",
			Submit: "Consulter le solde", Working: "Un instant" + noBreak + ": nous vérifions qu’aucun robot ne pose la question…",
			Privacy:     "Votre numéro et votre code PIN ne servent qu’à cette consultation. Ils ne sont pas conservés.",
			PrivacyLink: "Confidentialité", SupportLink: "Aide", Opens: "(ouvre un autre site)",
			ErrorTitle: "Il y a un problème", ErrorNetwork: "Choisissez le type de votre carte", ErrorNumber: "Saisissez le numéro de carte",
			ErrorPIN: "Saisissez le code PIN de votre carte", ErrorNumberForm: "Saisissez un numéro qui correspond à ce type de carte",
			ResultTitle: "Votre solde", BalanceLabel: "Solde disponible", ExpiresIn: "Expire en", CardLabel: "Carte",
			AsOf: "Situation au", Active: "Active", Again: "Consulter une autre carte", TryAgain: "Réessayer",
			ExpiredTitle: "Cette carte a expiré", ExpiredText: "Elle ne peut plus être utilisée.", ExpiredIn: "Expirée en",
			InactiveTitle: "Cette carte n’est pas active", InactiveText: "Elle doit être activée avant d’être utilisée, en général en caisse lors de l’achat.",
			InvalidTitle:     "Nous n’avons pas pu confirmer cette carte",
			InvalidText:      "Vérifiez le type de carte, le numéro et le code PIN, puis réessayez. Après plusieurs codes erronés, une carte est bloquée pendant un moment.",
			UnavailableTitle: "Le solde est indisponible pour le moment", UnavailableText: "Nous n’avons pas pu l’obtenir. Votre carte n’est pas en cause. Réessayez dans quelques minutes.",
			NoNetworksText: "Aucune carte ne peut être consultée ici pour le moment. Réessayez plus tard.",
			LimitedTitle:   "Trop de consultations", LimitedText: "Trop de consultations proviennent de votre connexion. Réessayez dans {wait}.",
			ChallengeTitle: "Encore une étape", ChallengeText: "Le trafic est important" + noBreak + ": nous vérifions qu’aucun robot ne pose la question. Appuyez de nouveau sur le bouton.",
			ChallengeWait: "Sans JavaScript, attendez {wait} avant d’appuyer.",
			Captcha:       "Montrez ici que vous n’êtes pas un robot, puis appuyez sur le bouton.", CaptchaScript: "Cela demande JavaScript. Activez-le et rouvrez la page.",
			ForbiddenTitle: "Ce formulaire ne peut pas être utilisé", ForbiddenText: "Il a été envoyé depuis un autre site, ou votre navigateur est trop ancien. Ouvrez cette page et réessayez.",
			UnknownTitle: "Il n’y a rien ici", UnknownText: "Vérifiez l’adresse. La page a peut-être été déplacée ou désactivée.",
			InternalTitle: "Une erreur s’est produite", InternalText: "L’erreur vient de nous. Réessayez dans quelques minutes.", Reference: "Référence",
			TestingNote: "Cette page sert aux essais. Aucune vraie carte ne peut être consultée ici.",
		},
	}
}

func spanish() *language {
	return &language{
		code: "es", name: "Español",
		numerals: numerals{point: ",", group: ".", least: 5, symbols: map[string]string{"USD": "US$", "EUR": "€", "INR": "₹", "KRW": "₩", "ILS": "₪", "VND": "₫"}},
		months: []string{"enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre",
			"noviembre", "diciembre"},
		monthForm: "{month} de {year}", momentForm: "{day} de {month} de {year}, {time} UTC",
		second: "1" + noBreak + "segundo", seconds: "segundos", minutes: "minutos",
		texts: texts{
			SkipLink: "Ir al contenido", LanguageLabel: "Idioma", ErrorPrefix: "Error:",
			Title: "Consulte su saldo", Intro: "Introduzca los datos de su tarjeta para ver cuánto le queda.",
			NetworkLabel: "Tipo de tarjeta", NetworkChoose: "Elija su tarjeta", Down: "no disponible en este momento",
			NumberLabel: "Número de tarjeta", NumberHint: "Está en la tarjeta. Los espacios y guiones no importan.",
			PINLabel: "PIN", PINHint: "Suele estar al dorso, bajo una banda que se rasca.",
			PINNeeded: "Es necesario para: {names}.", PINOptional: "(si su tarjeta lo tiene)", PINAgain: "Introduzca su PIN una vez más. No se guarda.",
			Submit: "Consultar saldo", Working: "Un momento: comprobamos que no pregunta una máquina…",
			Privacy:     "Su número y su PIN se usan solo para esta consulta. No se guardan.",
			PrivacyLink: "Privacidad", SupportLink: "Ayuda", Opens: "(abre otro sitio)",
			ErrorTitle: "Hay un problema", ErrorNetwork: "Elija el tipo de su tarjeta", ErrorNumber: "Introduzca el número de tarjeta",
			ErrorPIN: "Introduzca el PIN de su tarjeta", ErrorNumberForm: "Introduzca un número que corresponda a este tipo de tarjeta",
			ResultTitle: "Su saldo", BalanceLabel: "Saldo disponible", ExpiresIn: "Caduca en", CardLabel: "Tarjeta",
			AsOf: "Situación a", Active: "Activa", Again: "Consultar otra tarjeta", TryAgain: "Intentar de nuevo",
			ExpiredTitle: "Esta tarjeta ha caducado", ExpiredText: "Ya no se puede gastar.", ExpiredIn: "Caducó en",
			InactiveTitle: "Esta tarjeta no está activa", InactiveText: "Hay que activarla antes de gastarla, normalmente en la caja al comprarla.",
			InvalidTitle:     "No hemos podido confirmar esta tarjeta",
			InvalidText:      "Compruebe el tipo de tarjeta, el número y el PIN, e inténtelo de nuevo. Tras varios PIN erróneos, la tarjeta se bloquea durante un tiempo.",
			UnavailableTitle: "El saldo no está disponible en este momento", UnavailableText: "No hemos podido obtenerlo. Su tarjeta no tiene ningún problema. Inténtelo de nuevo en unos minutos.",
			NoNetworksText: "Ahora mismo no se puede consultar ninguna tarjeta aquí. Inténtelo más tarde.",
			LimitedTitle:   "Demasiadas consultas", LimitedText: "Ha habido demasiadas consultas desde su conexión. Inténtelo de nuevo en {wait}.",
			ChallengeTitle: "Un paso más", ChallengeText: "Hay mucho tráfico y comprobamos que no pregunta una máquina. Pulse otra vez el botón.",
			ChallengeWait: "Sin JavaScript, espere {wait} antes de pulsarlo.",
			Captcha:       "Muestre aquí que no es una máquina y pulse el botón.", CaptchaScript: "Hace falta JavaScript. Actívelo y abra la página de nuevo.",
			ForbiddenTitle: "Este formulario no se puede usar", ForbiddenText: "Se envió desde otro sitio, o su navegador es demasiado antiguo. Abra esta página e inténtelo de nuevo.",
			UnknownTitle: "Aquí no hay nada", UnknownText: "Compruebe la dirección. Puede que la página se haya movido o desactivado.",
			InternalTitle: "Algo ha fallado", InternalText: "El error es nuestro. Inténtelo de nuevo en unos minutos.", Reference: "Referencia",
			TestingNote: "Esta página es de prueba. Aquí no se pueden consultar tarjetas reales.",
		},
	}
}
