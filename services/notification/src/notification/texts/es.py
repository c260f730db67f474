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
        T.BOOKING_CANCELLED: Words(
            "Cancelada: {when}, {offering}",
            "Cancelada",
            "Su cita en {clinic} se ha cancelado. El archivo adjunto la quita de su calendario.",
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
        T.CLINIC_APPROVAL: Words(
            "Decida, por favor: {when}, {offering}",
            "Falta su aprobación",
            "Una solicitud espera su respuesta hasta el {deadline}. Sin respuesta se rechaza y el paciente lo recupera "
            "todo.",
        ),
        T.CLINIC_CONFIRMED: Words("Nueva reserva: {when}, {offering}", "Nueva reserva", "Se ha reservado una cita."),
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
    label_deadline="Responder antes del",
    free="Gratuita",
    button_manage="Ver o cancelar su cita",
    button_pay="Pagar de nuevo",
    button_again="Ver su reserva",
    button_page="Abrir la página de reservas",
    plans_change="Los planes cambian.",
    cancel_free_until="Puede cancelar gratis hasta el {until}.",
    cancel_fee_after="Después se retiene el {percent} del precio.",
    cancel_fee="Si cancela, se retiene el {percent} del precio.",
    cancel_free="Puede cancelar gratis hasta que empiece la cita.",
    footer_patient="Recibe este mensaje porque se pidió una cita en {clinic} a su nombre.",
    footer_clinic="Recibe este mensaje porque trabaja en {clinic} o recibe sus avisos.",
)
