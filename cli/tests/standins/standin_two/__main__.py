from standin import serve

serve("standin_two")
