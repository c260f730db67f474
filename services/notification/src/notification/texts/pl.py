"""Polish."""

from notification.domain import Template as T
from notification.texts.shape import Texts, Words

POLISH = Texts(
    words={
        T.REQUEST_RECEIVED: Words(
            "Prośba przyjęta: {when}, {offering}",
            "Prośba przyjęta",
            "{clinic} ma Twoją prośbę i odpowie najpóźniej {deadline}. Do tego czasu termin pozostaje Twój, a karta "
            "zostanie obciążona tylko wtedy, gdy odpowiedź będzie pozytywna.",
        ),
        T.BOOKING_CONFIRMED: Words(
            "Potwierdzone: {when}, {offering}",
            "Potwierdzone",
            "Twoja wizyta w placówce {clinic} jest zarezerwowana. W załączniku jest plik do kalendarza.",
        ),
        T.REMINDER: Words(
            "Przypomnienie: {when}, {offering}",
            "Do zobaczenia wkrótce",
            "Przypominamy o Twojej wizycie w placówce {clinic}.",
        ),
        T.BOOKING_RESCHEDULED: Words(
            "Nowy termin: {when}, {offering}",
            "Nowy termin",
            "Twoja wizyta w placówce {clinic} ma nowy termin. Poprzedni: {before}.",
        ),
        T.BOOKING_CHANGED: Words(
            "Zmiana: {when}, {offering}",
            "Inny specjalista",
            "Termin Twojej wizyty w placówce {clinic} pozostaje bez zmian, ale przyjmie Cię ktoś inny.",
        ),
        T.BOOKING_CANCELLED: Words(
            "Odwołane: {when}, {offering}",
            "Odwołane",
            "Twoja wizyta w placówce {clinic} została odwołana. Załączony plik usunie ją z kalendarza.",
        ),
        T.BOOKING_NO_SHOW: Words(
            "Nieobecność: {when}, {offering}",
            "Zabrakło Cię",
            "Placówka {clinic} odnotowała Twoją nieobecność na tej wizycie. Jeśli to pomyłka, prosimy ją o tym "
            "powiadomić.",
        ),
        T.BOOKING_REJECTED: Words(
            "Prośba odrzucona: {when}, {offering}",
            "Prośba odrzucona",
            "{clinic} nie może przyjąć Twojej prośby. Karta nie zostanie obciążona, a blokada środków zostanie zdjęta.",
        ),
        T.BOOKING_UNFULFILLABLE: Words(
            "Brak rezerwacji, pieniądze wracają: {when}, {offering}",
            "Ten termin przepadł",
            "Twoja płatność dotarła po zwolnieniu terminu i nie można go już było przydzielić. "
            "Wszystkie pieniądze wrócą do Ciebie bez żadnych działań z Twojej strony.",
        ),
        T.HOLD_EXPIRED: Words(
            "Brak rezerwacji: {when}, {offering}",
            "Termin zwolniony",
            "Twoja płatność nie dotarła na czas, więc termin został zwolniony. Jeśli płatność jeszcze nadejdzie, "
            "otrzymasz wizytę, o ile termin będzie wolny, albo zwrot pieniędzy.",
        ),
        T.MONEY_REFUNDED: Words(
            "Zwrot {amount}, {clinic}",
            "Pieniądze wracają",
            "{amount} wraca tam, skąd przyszła płatność. Na koncie może być widoczne dopiero po 10 dniach.",
        ),
        T.AUTHORIZATION_RELEASED: Words(
            "Blokada zdjęta: {amount}, {clinic}",
            "Karta nie została obciążona",
            "Blokada {amount} na Twojej karcie została zdjęta. Na koncie może być to widoczne po kilku dniach.",
        ),
        T.PAYMENT_FAILED: Words(
            "Płatność nie powiodła się: {when}, {offering}",
            "Płatność odrzucona",
            "Twoja karta została odrzucona. Termin jest jeszcze przez chwilę zarezerwowany: spróbuj ponownie tą lub "
            "inną kartą.",
        ),
        T.WAITLIST_JOINED: Words(
            "Jesteś na liście oczekujących: {offering}",
            "Na liście oczekujących",
            "Gdy w placówce {clinic} zwolni się termin w tym okresie i przyjdzie Twoja kolej, zachowamy go dla Ciebie"
            " i przyślemy link. Do tego czasu nie trzeba nic robić.",
        ),
        T.WAITLIST_OFFERED: Words(
            "Wolny termin dla Ciebie do {deadline}: {when}, {offering}",
            "Zwolnił się termin",
            "W placówce {clinic} zwolnił się termin, na który czekasz. Jest zarezerwowany dla Ciebie do {deadline}, "
            "potem otrzyma go następna osoba z listy.",
        ),
        T.CLINIC_APPROVAL: Words(
            "Prosimy o decyzję: {when}, {offering}",
            "Potrzebna decyzja",
            "Prośba o wizytę czeka na odpowiedź do {deadline}. Bez odpowiedzi zostanie odrzucona, a pacjent odzyska "
            "wszystko.",
        ),
        T.CLINIC_APPROVAL_DUE: Words(
            "Wciąż czeka na decyzję: {when}, {offering}",
            "Decyzja nadal potrzebna",
            "Minęła połowa czasu na odpowiedź. Bez odpowiedzi do {deadline} prośba zostanie odrzucona, a pacjent "
            "odzyska wszystko.",
        ),
        T.CLINIC_CONFIRMED: Words("Nowa rezerwacja: {when}, {offering}", "Nowa rezerwacja", "Zarezerwowano wizytę."),
        T.CLINIC_RESCHEDULED: Words(
            "Przeniesione: {when}, {offering}",
            "Wizyta przeniesiona",
            "Wizyta ma inny termin lub innego specjalistę.",
        ),
        T.CLINIC_CONFLICT: Words(
            "Kolizja: {when}, {offering}",
            "Wizyta nie może się tak odbyć",
            "{cause} Pacjent jeszcze o tym nie wie. Prosimy zdecydować w panelu: przenieść wizytę, znaleźć "
            "zastępstwo, zaproponować listę oczekujących albo zostawić ją bez zmian.",
        ),
        T.CLINIC_CANCELLED: Words(
            "Odwołane: {when}, {offering}", "Odwołane", "Wizyta została odwołana. Jej termin jest znów wolny."
        ),
        T.CLINIC_REFUND_FAILED: Words(
            "Zwrot {amount} nie powiódł się",
            "Nieudany zwrot",
            "Nie udało się zwrócić pacjentowi {amount}. Próby trwają; jeśli to nie pomoże, prosimy zwrócić pieniądze "
            "ręcznie.",
        ),
    },
    with_practitioner="{offering}, {practitioner}",
    label_what="Wizyta",
    label_who="Specjalista",
    label_patient="Pacjent",
    label_price="Cena",
    label_paid="Zapłacono",
    label_deposit="Wpłacona zaliczka",
    label_fee="Zatrzymana opłata",
    label_back="Wraca do Ciebie",
    label_move_fee="Opłata za późną zmianę",
    label_before="Poprzednio",
    label_affected="Dotyczy",
    label_deadline="Odpowiedź do",
    label_kept_until="Zarezerwowane do",
    free="Bezpłatnie",
    button_manage="Zobacz lub odwołaj wizytę",
    button_pay="Zapłać ponownie",
    button_again="Zobacz rezerwację",
    button_page="Otwórz stronę rezerwacji",
    button_take="Zarezerwuj ten termin",
    button_desk="Otwórz panel",
    moved_in_calendar="Załączony plik zmieni ją w kalendarzu.",
    moved_by_clinic=(
        "Zmiany dokonała placówka {clinic}. Jeśli Ci nie odpowiada, możesz bezpłatnie odwołać wizytę i odzyskać "
        "wszystko, co zapłacono."
    ),
    causes={
        "external_event": "W czasie tej wizyty pojawiło się wydarzenie w zewnętrznym kalendarzu.",
        "time_off": "Ktoś lub coś, czego wymaga ta wizyta, będzie wtedy nieobecne.",
        "schedule": "Zmieniły się godziny pracy i ta wizyta jest poza nimi.",
        "deactivated": "Ktoś lub coś, czego wymaga ta wizyta, nie jest już dostępne.",
    },
    plans_change="Plany się zmieniają.",
    cancel_free_until="Możesz bezpłatnie odwołać wizytę do {until}.",
    cancel_fee_after="Później zatrzymujemy {percent} ceny.",
    cancel_fee="Przy odwołaniu zatrzymujemy {percent} ceny.",
    cancel_free="Możesz bezpłatnie odwołać wizytę aż do jej rozpoczęcia.",
    footer_patient="Ta wiadomość przyszła, ponieważ w Twoim imieniu poproszono o wizytę w placówce {clinic}.",
    footer_clinic="Ta wiadomość przyszła, ponieważ pracujesz w placówce {clinic} lub otrzymujesz jej powiadomienia.",
)
