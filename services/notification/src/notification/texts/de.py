"""German."""

from notification.domain import Template as T
from notification.texts.shape import Texts, Words

GERMAN = Texts(
    words={
        T.REQUEST_RECEIVED: Words(
            "Anfrage erhalten: {when}, {offering}",
            "Anfrage erhalten",
            "{clinic} hat Ihre Anfrage und antwortet bis {deadline}. So lange bleibt der Termin für Sie frei, und Ihre "
            "Karte wird nur bei einer Zusage belastet.",
        ),
        T.BOOKING_CONFIRMED: Words(
            "Bestätigt: {when}, {offering}",
            "Bestätigt",
            "Ihr Termin bei {clinic} ist gebucht. Eine Datei für Ihren Kalender liegt bei.",
        ),
        T.REMINDER: Words(
            "Erinnerung: {when}, {offering}",
            "Bis bald",
            "Wir erinnern Sie an Ihren Termin bei {clinic}.",
        ),
        T.BOOKING_RESCHEDULED: Words(
            "Neue Zeit: {when}, {offering}",
            "Neue Zeit",
            "Ihr Termin bei {clinic} hat eine neue Zeit. Bisher: {before}.",
        ),
        T.BOOKING_CHANGED: Words(
            "Geändert: {when}, {offering}",
            "Jemand anderes ist für Sie da",
            "Ihr Termin bei {clinic} bleibt zur gleichen Zeit, aber jemand anderes ist für Sie da.",
        ),
        T.BOOKING_CANCELLED: Words(
            "Abgesagt: {when}, {offering}",
            "Abgesagt",
            "Ihr Termin bei {clinic} wurde abgesagt. Die beiliegende Datei nimmt ihn aus Ihrem Kalender.",
        ),
        T.BOOKING_NO_SHOW: Words(
            "Versäumt: {when}, {offering}",
            "Sie haben gefehlt",
            "{clinic} hat vermerkt, dass Sie zu diesem Termin nicht gekommen sind. Falls das ein Irrtum ist, sagen "
            "Sie dort bitte Bescheid.",
        ),
        T.BOOKING_REJECTED: Words(
            "Nicht angenommen: {when}, {offering}",
            "Anfrage nicht angenommen",
            "{clinic} konnte Ihre Anfrage nicht annehmen. Ihre Karte wird nicht belastet, ein vorgemerkter Betrag wird "
            "freigegeben.",
        ),
        T.BOOKING_UNFULFILLABLE: Words(
            "Nicht gebucht, Ihr Geld kommt zurück: {when}, {offering}",
            "Dieser Termin war vergeben",
            "Ihre Zahlung kam, als der Termin schon freigegeben war, und er konnte Ihnen nicht mehr gegeben werden. "
            "Sie bekommen Ihr ganzes Geld zurück, ohne etwas tun zu müssen.",
        ),
        T.HOLD_EXPIRED: Words(
            "Nicht gebucht: {when}, {offering}",
            "Der Termin wurde freigegeben",
            "Ihre Zahlung kam nicht rechtzeitig, deshalb wurde der Termin freigegeben. Trifft sie noch ein, bekommen "
            "Sie den Termin, falls er frei ist, sonst Ihr Geld zurück.",
        ),
        T.MONEY_REFUNDED: Words(
            "Erstattung von {amount} durch {clinic}",
            "Ihr Geld ist unterwegs",
            "{amount} gehen dorthin zurück, von wo Sie bezahlt haben. Banken zeigen das nach bis zu 10 Tagen.",
        ),
        T.AUTHORIZATION_RELEASED: Words(
            "Freigegeben: {amount}, {clinic}",
            "Sie wurden nicht belastet",
            "Auf Ihrer Karte waren {amount} vorgemerkt und sind wieder frei. Banken zeigen das nach einigen Tagen.",
        ),
        T.PAYMENT_FAILED: Words(
            "Ihre Zahlung ist fehlgeschlagen: {when}, {offering}",
            "Zahlung abgelehnt",
            "Ihre Karte wurde abgelehnt. Der Termin bleibt noch kurz für Sie reserviert: Versuchen Sie es noch einmal "
            "mit dieser oder einer anderen Karte.",
        ),
        T.WAITLIST_JOINED: Words(
            "Sie stehen auf der Warteliste: {offering}",
            "Auf der Warteliste",
            "Sobald bei {clinic} in diesem Zeitraum ein Termin frei wird und Sie an der Reihe sind, halten wir ihn "
            "für Sie frei und schicken Ihnen einen Link. Bis dahin müssen Sie nichts tun.",
        ),
        T.WAITLIST_OFFERED: Words(
            "Bis {deadline} für Sie frei: {when}, {offering}",
            "Ein Termin ist frei geworden",
            "Bei {clinic} ist ein Termin frei, auf den Sie gewartet haben. Er bleibt bis {deadline} für Sie "
            "reserviert, danach bekommt ihn die nächste Person auf der Liste.",
        ),
        T.CLINIC_APPROVAL: Words(
            "Bitte entscheiden: {when}, {offering}",
            "Zustimmung nötig",
            "Eine Anfrage wartet bis {deadline} auf Ihre Antwort. Ohne Antwort wird sie abgelehnt, und der Patient "
            "bekommt alles zurück.",
        ),
        T.CLINIC_APPROVAL_DUE: Words(
            "Ihre Entscheidung steht noch aus: {when}, {offering}",
            "Zustimmung noch nötig",
            "Die Hälfte der Zeit für eine Antwort ist vorbei. Ohne Antwort bis {deadline} wird die Anfrage abgelehnt,"
            " und der Patient bekommt alles zurück.",
        ),
        T.CLINIC_CONFIRMED: Words("Neue Buchung: {when}, {offering}", "Neue Buchung", "Ein Termin wurde gebucht."),
        T.CLINIC_RESCHEDULED: Words(
            "Verschoben: {when}, {offering}",
            "Termin verschoben",
            "Ein Termin hat eine andere Zeit, oder jemand anderes übernimmt ihn.",
        ),
        T.CLINIC_CONFLICT: Words(
            "Konflikt: {when}, {offering}",
            "Ein Termin kann so nicht stattfinden",
            "{cause} Der Patient weiß noch nichts davon. Bitte entscheiden Sie: verschieben, vertreten lassen, die "
            "Warteliste anbieten oder den Termin so lassen.",
        ),
        T.CLINIC_CANCELLED: Words(
            "Abgesagt: {when}, {offering}", "Abgesagt", "Ein Termin wurde abgesagt. Seine Zeit ist wieder frei."
        ),
        T.CLINIC_REFUND_FAILED: Words(
            "Erstattung von {amount} fehlgeschlagen",
            "Erstattung fehlgeschlagen",
            "{amount} konnten dem Patienten nicht erstattet werden. Es wird weiter versucht; hilft das nicht, "
            "erstatten Sie bitte von Hand.",
        ),
    },
    with_practitioner="{offering} bei {practitioner}",
    label_what="Termin",
    label_who="Bei",
    label_patient="Patient",
    label_price="Preis",
    label_paid="Bezahlt",
    label_deposit="Anzahlung bezahlt",
    label_fee="Einbehalten",
    label_back="Sie bekommen zurück",
    label_move_fee="Gebühr für spätes Verschieben",
    label_before="Bisher",
    label_affected="Betroffen",
    label_deadline="Antwort bis",
    label_kept_until="Reserviert bis",
    free="Kostenlos",
    button_manage="Termin ansehen oder absagen",
    button_pay="Noch einmal bezahlen",
    button_again="Buchung ansehen",
    button_page="Buchungsseite öffnen",
    button_take="Diesen Termin nehmen",
    button_desk="Verwaltung öffnen",
    moved_in_calendar="Die beiliegende Datei ändert ihn in Ihrem Kalender.",
    moved_by_clinic=(
        "{clinic} hat diese Änderung vorgenommen. Passt sie Ihnen nicht, können Sie kostenlos absagen und bekommen "
        "alles zurück, was Sie bezahlt haben."
    ),
    causes={
        "external_event": "Ein Eintrag in einem fremden Kalender liegt jetzt auf diesem Termin.",
        "time_off": "Jemand oder etwas, das dieser Termin braucht, ist zu seiner Zeit nicht da.",
        "schedule": "Die Arbeitszeiten haben sich geändert, und dieser Termin liegt außerhalb.",
        "deactivated": "Jemand oder etwas, das dieser Termin braucht, ist nicht mehr im Einsatz.",
    },
    plans_change="Es kommt etwas dazwischen?",
    cancel_free_until="Sie können bis {until} kostenlos absagen.",
    cancel_fee_after="Danach werden {percent} des Preises einbehalten.",
    cancel_fee="Bei einer Absage werden {percent} des Preises einbehalten.",
    cancel_free="Sie können kostenlos absagen, bis der Termin beginnt.",
    footer_patient="Sie erhalten diese Nachricht, weil in Ihrem Namen ein Termin bei {clinic} angefragt wurde.",
    footer_clinic="Sie erhalten diese Nachricht, weil Sie bei {clinic} arbeiten oder deren Meldungen erhalten.",
)
