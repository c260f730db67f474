"""Spanish."""

from notification.domain import Template as T
from notification.texts.shape import Texts, Words

SPANISH = Texts(
    words={
        T.REQUEST_RECEIVED: Words(
            "Solicitud recibida: {when}, {offering}",
            "Solicitud recibida",
            "{clinic} tiene su solicitud y responderá antes del {deadline}. Hasta entonces la hora sigue siendo suya, "
            "y solo se cobrará en su tarjeta si la respuesta es sí.",
        ),
        T.BOOKING_CONFIRMED: Words(
            "Confirmada: {when}, {offering}",
            "Confirmada",
            "Su cita en {clinic} está reservada. Adjuntamos un archivo para su calendario.",
        ),
        T.REMINDER: Words(
            "Recordatorio: {when}, {offering}",
            "Hasta pronto",
            "Le recordamos su cita en {clinic}.",
        ),
        T.BOOKING_RESCHEDULED: Words(
            "Nueva hora: {when}, {offering}",
            "Nueva hora",
            "Su cita en {clinic} tiene una nueva hora. Antes era: {before}.",
        ),
        T.BOOKING_CHANGED: Words(
            "Cambio: {when}, {offering}",
            "Le atenderá otra persona",
            "Su cita en {clinic} mantiene su hora, pero le atenderá otra persona.",
        ),
        T.BOOKING_CANCELLED: Words(
            "Cancelada: {when}, {offering}",
            "Cancelada",
            "Su cita en {clinic} se ha cancelado. El archivo adjunto la quita de su calendario.",
        ),
        T.BOOKING_NO_SHOW: Words(
            "No asistió: {when}, {offering}",
            "Le echamos de menos",
            "{clinic} ha anotado que usted no acudió a esta cita. Si es un error, comuníqueselo, por favor.",
        ),
        T.BOOKING_REJECTED: Words(
            "No aceptada: {when}, {offering}",
            "Solicitud no aceptada",
            "{clinic} no ha podido aceptar su solicitud. No se cobrará nada en su tarjeta y se libera lo retenido.",
        ),
        T.BOOKING_UNFULFILLABLE: Words(
            "Sin reserva, le devolvemos su dinero: {when}, {offering}",
            "Esta hora ya no estaba libre",
            "Su pago llegó cuando la hora ya se había liberado y no fue posible dársela. "
            "Le devolvemos todo su dinero sin que tenga que hacer nada.",
        ),
        T.HOLD_EXPIRED: Words(
            "Sin reserva: {when}, {offering}",
            "La hora se ha liberado",
            "Su pago no llegó a tiempo y la hora se ha liberado. Si el pago aún llega, tendrá la cita si la hora sigue "
            "libre o, si no, le devolveremos su dinero.",
        ),
        T.MONEY_REFUNDED: Words(
            "Reembolso de {amount} de {clinic}",
            "Su dinero está de vuelta",
            "{amount} vuelve al medio con el que pagó. Los bancos tardan hasta 10 días en mostrarlo.",
        ),
        T.AUTHORIZATION_RELEASED: Words(
            "Liberado: {amount}, {clinic}",
            "No se le ha cobrado",
            "Se ha liberado la retención de {amount} en su tarjeta. Los bancos tardan unos días en mostrarlo.",
        ),
        T.PAYMENT_FAILED: Words(
            "Su pago no se ha completado: {when}, {offering}",
            "Pago rechazado",
            "Su tarjeta ha sido rechazada. Le guardamos la hora un poco más: inténtelo de nuevo con esta u otra "
            "tarjeta.",
        ),
        T.WAITLIST_JOINED: Words(
            "Está en la lista de espera: {offering}",
            "En la lista de espera",
            "En cuanto quede libre una hora en {clinic} entre estas fechas y sea su turno, se la guardaremos y le "
            "enviaremos un enlace. Hasta entonces no tiene que hacer nada.",
        ),
        T.WAITLIST_OFFERED: Words(
            "Libre para usted hasta el {deadline}: {when}, {offering}",
            "Ha quedado libre una hora",
            "En {clinic} hay libre una hora que usted esperaba. Se la guardamos hasta el {deadline}; después pasará a"
            " la siguiente persona de la lista.",
        ),
        T.CLINIC_APPROVAL: Words(
            "Decida, por favor: {when}, {offering}",
            "Falta su aprobación",
            "Una solicitud espera su respuesta hasta el {deadline}. Sin respuesta se rechaza y el paciente lo recupera "
            "todo.",
        ),
        T.CLINIC_APPROVAL_DUE: Words(
            "Aún espera su decisión: {when}, {offering}",
            "Aún falta su aprobación",
            "Ha pasado la mitad del plazo para responder. Sin respuesta antes del {deadline} la solicitud se rechaza "
            "y el paciente lo recupera todo.",
        ),
        T.CLINIC_CONFIRMED: Words("Nueva reserva: {when}, {offering}", "Nueva reserva", "Se ha reservado una cita."),
        T.CLINIC_RESCHEDULED: Words(
            "Cambiada: {when}, {offering}",
            "Cita cambiada",
            "Una cita tiene otra hora u otro profesional.",
        ),
        T.CLINIC_CONFLICT: Words(
            "Conflicto: {when}, {offering}",
            "Una cita no puede celebrarse tal como está",
            "{cause} El paciente aún no lo sabe. Decida en el panel: cambiar la hora, buscar un sustituto, ofrecer la"
            " lista de espera o dejar la cita como está.",
        ),
        T.CLINIC_CANCELLED: Words(
            "Cancelada: {when}, {offering}", "Cancelada", "Se ha cancelado una cita. Su hora vuelve a estar libre."
        ),
        T.CLINIC_REFUND_FAILED: Words(
            "Ha fallado un reembolso de {amount}",
            "Reembolso fallido",
            "No se han podido devolver {amount} al paciente. Se sigue intentando; si continúa, devuélvalos a mano.",
        ),
    },
    with_practitioner="{offering} con {practitioner}",
    label_what="Cita",
    label_who="Con",
    label_patient="Paciente",
    label_price="Precio",
    label_paid="Pagado",
    label_deposit="Depósito pagado",
    label_fee="Retenido como cargo",
    label_back="Se le devuelve",
    label_move_fee="Cargo por cambio tardío",
    label_before="Antes",
    label_affected="Afecta a",
    label_deadline="Responder antes del",
    label_kept_until="Guardada hasta el",
    free="Gratuita",
    button_manage="Ver o cancelar su cita",
    button_pay="Pagar de nuevo",
    button_again="Ver su reserva",
    button_page="Abrir la página de reservas",
    button_take="Reservar esta hora",
    button_desk="Abrir el panel",
    moved_in_calendar="El archivo adjunto la cambia en su calendario.",
    moved_by_clinic=(
        "{clinic} ha hecho este cambio. Si no le conviene, puede cancelar gratis y recuperar todo lo que pagó."
    ),
    causes={
        "external_event": "Un evento de un calendario externo coincide ahora con esta cita.",
        "time_off": "Alguien o algo que esta cita necesita no estará a esa hora.",
        "schedule": "El horario de trabajo ha cambiado y esta cita queda fuera de él.",
        "deactivated": "Alguien o algo que esta cita necesita ya no está disponible.",
    },
    plans_change="Los planes cambian.",
    cancel_free_until="Puede cancelar gratis hasta el {until}.",
    cancel_fee_after="Después se retiene el {percent} del precio.",
    cancel_fee="Si cancela, se retiene el {percent} del precio.",
    cancel_free="Puede cancelar gratis hasta que empiece la cita.",
    footer_patient="Recibe este mensaje porque se pidió una cita en {clinic} a su nombre.",
    footer_clinic="Recibe este mensaje porque trabaja en {clinic} o recibe sus avisos.",
)
