"""What can go wrong in identity, as people are told it."""

from servicekit.problems import Problem, Unauthenticated


class EmailTaken(Problem):
    """Another account has the address."""

    status, code, title = 409, "email-taken", "This e-mail address has an account"

    def __init__(self) -> None:
        super().__init__("There is an account with this e-mail address. Nothing was stored; sign in instead.")


class SlugTaken(Problem):
    """Another clinic has the slug."""

    status, code, title = 409, "slug-taken", "This slug is taken"

    def __init__(self, slug: str) -> None:
        super().__init__(f"Another clinic is called {slug}. Nothing was stored; choose another slug.")


class InvalidCredentials(Unauthenticated):
    """Wrong address or password; it is not said which."""

    code, title = "invalid-credentials", "The e-mail address or the password is wrong"

    def __init__(self) -> None:
        super().__init__("No account has this e-mail address and password. Check both and try again.")


class SessionOver(Unauthenticated):
    """The refresh token is unknown, used, revoked or too old."""

    def __init__(self) -> None:
        super().__init__("The refresh token is not valid any more. Sign in again.")


class MemberExists(Problem):
    """The address is a member or invited already."""

    status, code, title = 409, "member-exists", "Already a member"

    def __init__(self) -> None:
        super().__init__("This person is a member already, or invited. Nothing was stored; change the role by PATCH.")


class IllegalTransition(Problem):
    """Known and allowed, but not in the present state."""

    status, code, title = 409, "illegal-transition", "Not possible now"
