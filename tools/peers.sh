#!/bin/sh
# Installs the programs that tests use as peers: peers.sh PROGRAM:PACKAGE...
# A PROGRAM with a slash in it is a file of a package that has no program.
# As root with apt-get it lists and installs what is missing; otherwise it
# prints the command and goes on, since those tests skip by themselves.
set -u
PATH=$PATH:/usr/sbin:/sbin
missing=
for pair in "$@"; do
	case ${pair%%:*} in
	*/*) [ -e "${pair%%:*}" ] ;;
	*) command -v "${pair%%:*}" >/dev/null 2>&1 ;;
	esac || missing="$missing ${pair#*:}"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "installing the peers of the tests:$missing"
	export DEBIAN_FRONTEND=noninteractive
	# A service that a package starts by itself could take a port that a test wants.
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	fi
	# shellcheck disable=SC2086 # a list of words is meant
	{ apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >/dev/null ||
		echo "could not install:$missing (tests that need them will skip)" >&2
else
	echo "some tests will skip; to run them all: sudo apt-get install$missing" >&2
fi
exit 0
