from standin import serve

serve("standin_one")
